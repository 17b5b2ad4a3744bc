"""The output folder of a batch: made and tried before any work, and what goes wrong with it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import Reason, RunError
from pipelines.unfinished import FILES, take_away


def check_writable(output: Path) -> None:
    """Make the folder, see that it can be written to, clear what a killed process left.

    Args:
        output: The folder.

    Raises:
        RunError: OUTPUT_UNWRITABLE if it cannot be made or written to.
    """
    with output_errors():
        output.mkdir(parents=True, exist_ok=True)
        for unfinished in output.glob(f"{FILES}*"):
            take_away(unfinished)
        with tempfile.TemporaryFile(dir=output):
            pass


@contextmanager
def output_errors() -> Iterator[None]:
    """Turn errors of the file system into one that says what to do.

    Yields:
        Nothing; the block writes.

    Raises:
        RunError: OUTPUT_UNWRITABLE if the block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            Reason.OUTPUT_UNWRITABLE,
            f"expected an output folder that can be written, got {error.strerror!r}; "
            "choose another OUTPUT or make room, then run the same command again",
        ) from error
