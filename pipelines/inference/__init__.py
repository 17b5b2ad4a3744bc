"""Weights and files become predictions: the folder, the readers, the engine, the journal."""
