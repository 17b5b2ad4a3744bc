"""Memory that was freed goes back to the system, where the C library would keep it."""

import ctypes
from contextlib import suppress


def give_back_freed() -> None:
    """Give back what the C library keeps of freed memory.

    Each reader thread takes memory from a pool of its own, and glibc keeps what a pool has held. A
    process that predicts folder after folder in new threads would keep some hundred megabytes that
    nobody uses, and more from run to run. Other C libraries give back by themselves.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
