"""Predictions become figures: calibration, operating points, intervals, plots."""
