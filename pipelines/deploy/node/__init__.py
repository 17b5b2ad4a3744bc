"""A DICOM node: takes films over the network, predicts them and sends what it found."""
