"""One plain line for an error, whatever it was wrapped in on its way up."""

import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from pipelines.errors import PlainfilmError, Reason, refusal_behind

_LONGEST = 160
_BUNDLE_PROGRAM = "monai.bundle.__main__"


def root_cause(error: BaseException) -> BaseException:
    """Return the refusal of ours in a chain, else its first error: MONAI wraps both repeatedly."""
    chain = [error]
    while (earlier := chain[-1].__cause__ or chain[-1].__context__) and earlier not in chain:
        chain.append(earlier)
    return refusal_behind(error) or chain[-1]


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
    hint = "the traceback shows all" if traced else "--debug shows all"
    return f"error ({Reason.INTERNAL}): {_foreign(cause, traced=traced)}; {hint}"


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
