"""One run at a time in an output folder: a lock file that beats while its process lives.

A lock is judged by what can be known of its holder. On the same machine the process table says
whether it lives, so a lock that a killed process left is taken over at once. Of another machine, or
another container, only the beat can be seen: a lock that does not beat for a minute is taken over.
No clocks are compared.
"""

import errno
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipelines.errors import Reason, RunError
from pipelines.files import write_text
from pipelines.inference.output import output_errors
from pipelines.unfinished import FILES

LOCK_NAME = ".lock.json"

BEAT_SECONDS = 10.0
PATIENCE_SECONDS = 60.0
"""How long a lock of another machine may stay without a beat: six of them, since network file
systems show changes late."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})
_SETTLE_SECONDS = 0.2  # for a second process that takes over the same lock at the same time
_log = logging.getLogger(__name__)


class FolderLock:
    """The lock of a folder, held by this process.

    Args:
        folder: Made if missing.
        beat_seconds: Time between two beats.
        patience_seconds: How long a lock of another machine may stay without a beat.
    """

    def __init__(
        self,
        folder: Path,
        *,
        beat_seconds: float = BEAT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._path = folder / LOCK_NAME
        self._beat_seconds = beat_seconds
        self._patience = patience_seconds
        self._mine: dict[str, object] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "machine": _machine(),
            "process": _process(os.getpid()),
            "token": uuid.uuid4().hex,
        }
        self._beats = 0
        self._lost = False
        self._end = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="lock-beat", daemon=True)

    def acquire(self) -> None:
        """Take the lock, that of a dead process too.

        Raises:
            RunError: OUTPUT_IN_USE if another process holds it; OUTPUT_UNWRITABLE if it cannot be
                written.
        """
        with output_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._create():
                self._take_over()
        self._beating.start()

    def _take_over(self) -> None:
        holder = self._read()
        if self._lives(holder):
            raise RunError(Reason.OUTPUT_IN_USE, _in_use(holder))
        _log.warning("taking over OUTPUT from a process that ended without giving it back")
        self._write()
        time.sleep(_SETTLE_SECONDS)
        holder = self._read()
        if not self._is_mine(holder):
            raise RunError(Reason.OUTPUT_IN_USE, _in_use(holder))

    def release(self) -> None:
        """Give the lock back, unless somebody else has taken it over."""
        self._end.set()
        if self._beating.is_alive():
            self._beating.join()
        with suppress(OSError):
            if self._is_mine(self._read()):
                self._path.unlink()

    def require(self) -> None:
        """See that the lock is still held, before anything is added to the folder.

        Raises:
            RunError: OUTPUT_IN_USE if another process has taken it over, as may happen to one
                that was stopped for minutes.
        """
        if self._lost:
            raise RunError(Reason.OUTPUT_IN_USE, _in_use(self._read()))

    def _create(self) -> bool:
        if self._path.exists():
            return False
        # Whole from the start: of half a lock nobody knows whose it is, and it would be waited for.
        mine = self._path.with_name(f"{FILES}{self._mine['token']}")
        try:
            mine.write_text(self._text(), encoding="utf-8")
            self._path.hardlink_to(mine)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
            return self._create_slowly()
        finally:
            mine.unlink(missing_ok=True)
        return True

    def _create_slowly(self) -> bool:
        """Create it where the file system has no second names for a file."""
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        with open(handle, "w", encoding="utf-8") as lock:  # noqa: PTH123 - a handle is no path
            lock.write(self._text())
        return True

    def _write(self) -> None:
        write_text(self._path, self._text())

    def _text(self) -> str:
        return json.dumps(self._mine | {"beats": self._beats}) + "\n"

    def _read(self) -> Mapping[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _is_mine(self, holder: Mapping[str, Any]) -> bool:
        return holder.get("token") == self._mine["token"]

    def _lives(self, holder: Mapping[str, Any]) -> bool:
        if holder.get("machine") == self._mine["machine"] and isinstance(holder.get("pid"), int):
            return holder.get("process") == _process(holder["pid"]) != ""
        _log.warning(
            "OUTPUT has the lock of another machine; waiting up to %.0f s to see whether it lives",
            self._patience,
        )
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            time.sleep(min(1.0, self._patience / 10))
            if not self._path.exists():
                return False
            if self._read() != holder:
                return True
        return False

    def _beat(self) -> None:
        while not self._end.wait(self._beat_seconds):
            holder = self._read()
            # A lock that cannot be read for a moment is not lost; one with another token is.
            if holder and not self._is_mine(holder):
                self._lost = True
                return
            self._beats += 1
            with suppress(OSError):
                self._write()


@contextmanager
def locked(folder: Path) -> Iterator[FolderLock]:
    """Hold the lock of a folder.

    Args:
        folder: Made if missing.

    Yields:
        The lock.

    Raises:
        RunError: OUTPUT_IN_USE if another process holds it; OUTPUT_UNWRITABLE if it cannot be
            written.
    """
    lock = FolderLock(folder)
    lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


def _in_use(holder: Mapping[str, Any]) -> str:
    return (
        "expected an output folder that no other run writes to, got one that process "
        f"{holder.get('pid', '?')} on {str(holder.get('host', '?'))!r} is at; wait for it, end it, "
        "or choose another OUTPUT"
    )


def _machine() -> str:
    """Name the running kernel and the process numbers that are valid here; containers differ."""
    parts = []
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts) or f"{socket.gethostname()} {uuid.getnode():x}"


def _process(pid: int) -> str:
    """Tell a process from a later one of the same number; empty where there is none."""
    try:
        # The name, in brackets, may hold anything; the 20th field behind it is the start.
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = status.rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self").exists():
            return ""
    else:
        return "" if state in {"Z", "X"} else f"{pid} {fields[18]}"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return str(pid)
    return str(pid)
