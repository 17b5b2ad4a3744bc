"""What is changed in a process before its command begins: its clock, its memory, its disk."""

import itertools
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from processes import Change

YEAR_SECONDS = 365 * 24 * 3600.0


def clock_set_back() -> Change:
    """Let the clock of the process stand a year back; that of the file system stays right."""
    return _set_clock_back


def _set_clock_back() -> None:
    now, local, stamp = time.time, time.localtime, time.strftime

    def strftime(form: str, moment: time.struct_time | None = None) -> str:
        return stamp(form, local(now() - YEAR_SECONDS) if moment is None else moment)

    time.time = lambda: now() - YEAR_SECONDS
    time.strftime = strftime


def no_memory_for_a_film(number: int) -> Change:
    """Let reading one film raise what Python raises when there is no memory left.

    Args:
        number: Which film, in the order in which they are read.
    """
    return partial(_no_memory, number)


def _no_memory(number: int) -> None:
    from pipelines.ingest import read

    begun = itertools.count(1)

    def failing(reader: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(reader)
        def reads(*arguments: Any, **options: Any) -> Any:
            if next(begun) == number:
                raise MemoryError
            return reader(*arguments, **options)

        return reads

    read.read_raster, read.read_dicom = failing(read.read_raster), failing(read.read_dicom)
