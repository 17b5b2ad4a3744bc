"""Engines for bundle configs: what to build a training run from, all on MONAI's engines."""
