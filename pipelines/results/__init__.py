"""Predictions become files: tables and pictures."""
