"""Memory of a process that trains on a CPU: kept for the next step, not given back."""

import ctypes
import sys

_TRIM_THRESHOLD = -1
_MMAP_MAX = -4


def keep_memory() -> bool:
    """Let this process keep memory that it has freed, from now on.

    The maps of a step are larger than what glibc keeps, so each of them is asked for anew, and the
    system fills every page of it with zeros before the network may write there.

    Returns:
        Whether the C library can do so; only glibc does.
    """
    if not sys.platform.startswith("linux"):
        return False
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(change and change(_MMAP_MAX, 0) and change(_TRIM_THRESHOLD, -1))
