"""Where errors that are not ours become refusals, so that one bad file never stops a batch."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import InputError, PlainfilmError, Reason


@contextmanager
def guard_input() -> Iterator[None]:
    """Turn any other error into an `InputError`; its message names no path and no file content.

    Yields:
        Nothing: what is done with one input file goes into the block.

    Raises:
        InputError: FILE_UNREADABLE if the operating system refuses; OUT_OF_MEMORY if there is not
            enough memory; INTERNAL for what no reader foresaw.
    """
    try:
        yield
    except MemoryError:
        # Of the machine and not of the file, so that the next run tries again.
        raise InputError(
            Reason.OUT_OF_MEMORY,
            "expected room in memory for this image, got none; make room, read fewer at a time "
            "(reader.threads in prediction) or downsample it, then give the same command again",
        ) from None
    # A file format has more ways to be broken than anybody has listed.
    except Exception as error:
        if isinstance(error, PlainfilmError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            code = errno.errorcode.get(error.errno, "an error")
            raise InputError(
                Reason.FILE_UNREADABLE,
                f"expected a file that can be read, got {code} from the operating system; "
                "check that it exists and who may read it",
            ) from None
        raise InputError(
            Reason.INTERNAL,
            f"expected a file that the reader understands, got {type(error).__name__} from it; "
            "report this with a file that shows it",
        ) from error
