"""One plain line for an error, whatever it was wrapped in on its way up.

Where a process was started for another one that speaks for it, the line is kept in a file.
"""

import errno
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from pipelines.errors import (
    ConfigurationError,
    DatasetError,
    InputError,
    PlainfilmError,
    Reason,
    RunError,
    refusal_behind,
)
from pipelines.files import read_json_object, write_json

_LONGEST = 160
_BUNDLE_PROGRAM = "monai.bundle.__main__"
_NOT_WRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
_GONE = frozenset({errno.ENOENT, errno.EIO, errno.ENODEV, errno.ENOTCONN, errno.ESTALE})
_WORKER_GONE = re.compile(r"DataLoader worker \(pid")


def root_cause(error: BaseException) -> BaseException:
    """Return the refusal of ours in a chain, else its first error: MONAI wraps both repeatedly."""
    chain = [error]
    while (earlier := chain[-1].__cause__ or chain[-1].__context__) and earlier not in chain:
        chain.append(earlier)
    return refusal_behind(error) or _of_the_machine(chain) or chain[-1]


def _of_the_machine(chain: Sequence[BaseException]) -> RunError | None:
    """Say of an error that nothing is wrong but room: on the disk, or in memory."""
    last = chain[-1]
    if isinstance(last, OSError) and last.errno in _NOT_WRITABLE:
        return RunError(
            Reason.OUTPUT_UNWRITABLE,
            f"expected a place that can be written, got {last.strerror!r}; make room or name "
            "another place, then give the same command again",
        )
    if isinstance(last, OSError) and last.errno in _GONE:
        return RunError(
            Reason.MISSING,
            f"expected files to stay where they are while this runs, got {last.strerror!r}"
            f"{_place(last)}; bring back what was moved, or mount it again, then give the same "
            "command again",
        )
    if any(_WORKER_GONE.match(str(each)) for each in chain):
        return RunError(
            Reason.OUT_OF_MEMORY,
            "expected the processes that prepare films to live, one was killed, as the system does "
            "when memory runs out; lower num_workers or batch_size, then give the same command "
            "again",
        )
    if isinstance(last, MemoryError):
        return RunError(
            Reason.OUT_OF_MEMORY,
            f"expected room in memory, got none{_place(last)}; make room or lower batch_size, then "
            "give the same command again",
        )
    return None


def refusal_text(cause: BaseException, *, traced: bool = False) -> str:
    """Say what went wrong: `error (reason_code): message`.

    Args:
        cause: From `root_cause`.
        traced: Whether the traceback has been shown. If not, the message of a foreign error is
            left out, as it may quote what was read from a film.

    Returns:
        A line; a refusal of ours may have more.
    """
    if isinstance(cause, PlainfilmError):
        return f"error ({cause.reason}): {cause}"
    return f"error ({Reason.INTERNAL}): {_hinting(cause, traced=traced)}"


def _hinting(cause: BaseException, *, traced: bool) -> str:
    hint = "the traceback shows all" if traced else "--debug shows all"
    return f"{_foreign(cause, traced=traced)}; {hint}"


def _foreign(cause: BaseException, *, traced: bool) -> str:
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    # These say what the machine lacks.
    speaking = traced or isinstance(cause, RuntimeError | MemoryError | ImportError)
    lines = str(cause).splitlines() if speaking else []
    said = f": {lines[0][:_LONGEST]}" if lines else ""
    return f"{type(cause).__name__}{said}{_place(cause)}"


def _place(cause: BaseException) -> str:
    """Where in our package it happened, innermost last."""
    package = str(Path(__file__).parent)
    frames = [
        each for each in traceback.extract_tb(cause.__traceback__) if package in each.filename
    ]
    if not frames:
        return ""
    inside = os.path.relpath(frames[-1].filename, Path(package).parent)
    return f" in {inside}:{frames[-1].lineno}"


KEPT_VARIABLE = "PLAINFILM_REFUSALS"
"""Environment variable that names the folder where processes leave why they ended."""

_KINDS: dict[str, type[PlainfilmError]] = {
    kind.__name__: kind for kind in (ConfigurationError, DatasetError, InputError, RunError)
}


@dataclass(frozen=True, slots=True)
class KeptRefusal:
    """Why a process ended.

    Attributes:
        rank: Of the process.
        kind: Name of the refusal's class, of those that an exit status follows from.
        reason: Its code.
        message: What it says.
        time: In seconds, of the clock.
    """

    rank: int
    kind: str
    reason: str
    message: str
    time: float

    def refusal(self) -> PlainfilmError:
        """Return the refusal; of what one process alone met, with that process.

        Settings and films are the same in all, and any of them may be the first to refuse them.
        """
        kind = _KINDS.get(self.kind, RunError)
        by = f" (process {self.rank})" if self.rank and kind is RunError else ""
        return kind(Reason(self.reason), f"{self.message}{by}")


def speaks_for_itself() -> bool:
    """Whether this process tells its user why it ends, and not what started it."""
    return not os.environ.get(KEPT_VARIABLE)


def keep_refusal(cause: BaseException) -> None:
    """Leave why this process ends to what started it.

    Args:
        cause: From `root_cause`.
    """
    rank = int(os.environ.get("RANK", "0"))
    ours = isinstance(cause, PlainfilmError)
    reason = cause.reason if isinstance(cause, PlainfilmError) else Reason.INTERNAL
    said = str(cause) if ours else _hinting(cause, traced=False)
    kind = next((name for name, each in _KINDS.items() if isinstance(cause, each)), "")
    kept = KeptRefusal(rank, kind, str(reason), said, time.time())
    write_json(Path(os.environ[KEPT_VARIABLE]) / f"{rank}.json", asdict(kept))


def kept_refusals(folder: Path) -> list[KeptRefusal]:
    """Read what processes have left, the first one first."""
    found = [KeptRefusal(**read_json_object(path)) for path in folder.glob("*.json")]
    return sorted(found, key=lambda each: each.time)


def end_bundle_runs_plainly() -> None:
    """Let `python -m monai.bundle run` end with the cause in one line, after its long traceback.

    Nothing is changed where another program is running.
    """
    program = getattr(sys.modules.get("__main__"), "__spec__", None)
    if program is not None and program.name == _BUNDLE_PROGRAM:
        sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, traced: TracebackType | None) -> None:
    sys.__excepthook__(kind, error, traced)
    if isinstance(error, Exception):
        sys.stderr.write(f"plainfilm: {refusal_text(root_cause(error), traced=True)}\n")
