"""What MONAI's networks lack: weights on disk, devices, precision."""
