"""Export without the runs that only time a network, which are most of what a small export costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from bundle_fixture import one_torch_thread

from pipelines.deploy import export, export_table


@contextmanager
def quick_export() -> Iterator[None]:
    """Judge a network by one film of noise and one timed run; `test_int8.py` judges in full."""
    table = mock.patch.multiple(export_table, _WARM_UP=0, _REPEATS=1)
    with one_torch_thread(), table, mock.patch.object(export, "_NOISE_FILMS", 1):
        yield
