"""Facts that live once: class names and their order."""

PNEUMONIA_CLASSES: tuple[str, str] = ("NORMAL", "PNEUMONIA")
"""Folder names of Kermany et al. (2018); index 1 is the positive class."""
