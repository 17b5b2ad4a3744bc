"""Generated films in the layouts that users have: for demonstrations, tests and first steps."""

from pipelines.datasets.phantoms.samples import SAMPLES, write_samples

__all__ = ["SAMPLES", "write_samples"]
