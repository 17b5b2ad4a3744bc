"""SIGTERM ends a command as Ctrl-C does: by an exception, so that nothing half-written stays."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 128 + signal.SIGTERM
"""Exit status of a process that ended because it was told to."""

SECONDS_TO_END = 5.0
"""How long the process may take to end, for the film that it is at, say."""


@contextmanager
def ends_when_told() -> Iterator[None]:
    """Let SIGTERM raise `SystemExit` of status 143 while the block runs.

    What has its own way to end, as training and the node have, takes over inside.

    Yields:
        Nothing. In another thread than the main one signals are left as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # told twice, it ends once
    # Files are whole or not there, whenever the process ends.
    timer = threading.Timer(SECONDS_TO_END, os._exit, [STATUS])
    timer.daemon = True
    timer.start()
    raise SystemExit(STATUS)
