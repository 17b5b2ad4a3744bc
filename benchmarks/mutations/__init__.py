"""Files that are damaged on purpose, for `fuzz.py`."""
