"""Out of one process: networks in files that other programs run."""
