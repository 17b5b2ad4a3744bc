"""Weights and files become predictions: the folder, the readers, the engine, the journal."""

from pipelines.lazy_packages import import_lazily

# Before anything here or below imports MONAI.
import_lazily()
