"""Engines side by side: the verb `benchmark`."""
