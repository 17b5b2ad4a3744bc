"""Bundles and runs on disk: found, read, merged, checked and run."""
