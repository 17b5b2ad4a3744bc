"""Reads one film and says nothing: for a process of its own, which the film may end.

python -m pipelines.ingest.alone FILM FRAME
"""

import sys
from contextlib import suppress

from pipelines.errors import PlainfilmError
from pipelines.ingest.read import read_radiograph


def read_alone(path: str, frame: int) -> None:
    """Read a film whole, and at a lower resolution, which another decoder may do.

    Args:
        path: The file.
        frame: Index of the frame, from 0.
    """
    for least_size in (None, _least):
        with suppress(PlainfilmError):
            read_radiograph(path, frame=frame, least_size=least_size)


def _least(_height: int, _width: int) -> tuple[int, int]:
    return 1, 1


if __name__ == "__main__":
    read_alone(sys.argv[1], int(sys.argv[2]))
