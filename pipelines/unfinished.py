"""Files and folders under temporary names, and what a killed process left of them.

Whoever writes one holds a lock of the kernel on it (`flock`), which goes with the process however
that ends. So what bears such a name and is not locked was left behind, and who comes next takes it
away. Where a file system has no such locks, nothing is taken away that may be in use.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipelines.errors import Reason, RunError

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and nothing taken away.
    _LOCK = None
else:
    _LOCK = fcntl.LOCK_EX | fcntl.LOCK_NB

FILES = ".writing-"
"""What names of files that are not whole yet begin with."""

_HELD = "plainfilm-held-"
_TRIES = 3
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def begin_file(target: Path) -> tuple[int, Path]:
    """Make an empty file beside `target`, locked, of which nobody else has the name.

    The name follows from that of `target`, so that writing it again finds what was left behind.

    Args:
        target: What it shall become; its folder is there.

    Returns:
        An open handle that holds the lock, and the path.

    Raises:
        OSError: If it cannot be made.
    """
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    place = target.with_name(f"{FILES}{digest}{target.suffix}")
    for _ in range(_TRIES):
        try:
            handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if not take_away(place):
                break
            continue
        _lock(handle)
        if _is(handle, place):
            return handle, place
        os.close(handle)
    handle, name = tempfile.mkstemp(prefix=FILES, suffix=target.suffix, dir=target.parent)
    return handle, Path(name)


@contextmanager
def held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder for what is not finished, and take away what killed processes left.

    Args:
        parent: Where it is made; it is there.
        prefix: What its name begins with, and theirs.

    Yields:
        The folder, open to its owner alone; it is removed when the block ends, if it is there.

    Raises:
        OSError: If it cannot be made.
    """
    for left in parent.glob(f"{prefix}*"):
        take_away(left)
    handle, folder = _begin_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _begin_folder(parent: Path, prefix: str) -> tuple[int | None, Path]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if _LOCK is None:
            return None, folder
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # taken away before it was locked
            continue
        _lock(handle)
        if _is(handle, folder):
            return handle, folder
        os.close(handle)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder among the temporary files of this machine, removed when the block ends.

    Yields:
        The folder.

    Raises:
        RunError: OUTPUT_UNWRITABLE if there is no place for temporary files.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(held_folder(Path(tempfile.gettempdir()), _HELD))
        except OSError as error:
            raise RunError(
                Reason.OUTPUT_UNWRITABLE,
                "expected a place for temporary files, got none that can be written "
                f"({error.strerror}); name a folder with room in the variable TMPDIR, or make /tmp "
                "writable",
            ) from error
        yield folder


def scratch_until_end() -> Path:
    """Make a folder among the temporary files of this machine, removed when the process ends.

    Returns:
        The folder.

    Raises:
        RunError: OUTPUT_UNWRITABLE if there is no place for temporary files.
    """
    if not _AT_END:
        stack = ExitStack()
        _AT_END.append(stack)
        atexit.register(_end, os.getpid(), stack)
    return _AT_END[0].enter_context(scratch_folder())


_AT_END: list[ExitStack] = []


def _end(owner: int, stack: ExitStack) -> None:
    if os.getpid() == owner:  # and not a process that it has forked
        stack.close()


def take_away(path: Path) -> bool:
    """Remove a file or a folder that nobody holds.

    Args:
        path: Something that is not finished.

    Returns:
        Whether nothing is there any more.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _NO_LINKS)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if not _lock(handle):
            return False
        if _is(handle, path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _lock(handle: int) -> bool:
    if _LOCK is None:
        return False
    try:
        fcntl.flock(handle, _LOCK)
    except OSError:
        return False
    return True


def _is(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        return False
