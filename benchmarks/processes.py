"""Commands in processes that need not import torch and MONAI anew, and that faults can be put into.

A server imports once what every command imports and forks for each, as the tests do: what is forked
has its own memory and output, and can be killed at any moment. Before the command begins, a
function of the caller's may change the process: its clock, its memory, what a call raises.
"""

import atexit
import importlib
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

CHECKOUT = Path(__file__).resolve().parents[1]
LONGEST_SECONDS = 300.0
_IMPORTED = [
    *("monai.bundle", "monai.handlers", "monai.inferers", "monai.losses", "monai.networks.nets"),
    *("pipelines.workflows.run", "pipelines.workflows.outcome", "pipelines.inference.batch"),
    *("pipelines.training.monitoring", "pipelines.training.trainer", "tensorboard"),
    *("pipelines.datasets.index", "pipelines.evaluation.leak_pictures", "sklearn.metrics"),
    *("highdicom", "onnxruntime", "onnxscript"),
]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_IMPORTED)

Change = Callable[[], object]
"""Changes the process before its command begins; it can be pickled."""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: Exit status; below 0 the signal that ended it.
        stdout: What it wrote there.
        stderr: What it wrote there.
        seconds: How long it ran.
    """

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def said(self) -> str:
        """How the end shows itself: the reason code, or the status in words."""
        for line in reversed(self.stderr.splitlines()):
            if line.startswith("plainfilm: error ("):
                return line.partition("(")[2].partition(")")[0]
        return _WORDS.get(self.status, f"status {self.status}")


# Before a command has begun, SIGTERM ends it as the system does: 143 as well, in a shell.
_WORDS = {0: "done", 3: "done, some failed", 143: "143", -15: "143", -9: "killed"}


class Started:
    """A process that runs.

    Args:
        command: What follows `plainfilm`, or a function that can be pickled.
        environment: Variables beside those of this process.
        change: Changes the process first.
    """

    def __init__(
        self,
        command: Sequence[str] | Change,
        *,
        environment: Mapping[str, str] | None = None,
        change: Change | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="said-")
        self._said = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        given = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
        self._process = _context.Process(target=_run, args=(command, change, given, self._said))
        self._began = time.monotonic()
        self._process.start()

    def __enter__(self) -> Self:
        """Return the process, which is killed in the end if it still runs."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process and take away what it said."""
        self.kill()
        self._folder.cleanup()

    @property
    def runs(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    def rest(self, seconds: float) -> None:
        """Wait until so many seconds have passed since its start, or it has ended."""
        self._process.join(max(0.0, self._began + seconds - time.monotonic()))

    def until(self, holds: Callable[[], object]) -> None:
        """Wait for a state, or for the end of the process."""
        while self.runs and not holds():
            self._process.join(0.005)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._process.kill()
        self._process.join()

    def terminate(self) -> None:
        """Ask it to end, as a service manager does."""
        self._process.terminate()

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return time.monotonic() - self._began

    def children(self) -> list[int]:
        """Return the numbers of the processes that it has started."""
        with suppress(OSError):
            pid = self._process.pid
            found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
            return [int(each) for each in found.split()]
        return []

    def kill_a_child(self) -> None:
        """Kill a process that it has started, as the kernel does when memory runs out."""
        with suppress(OSError):
            for child in self.children()[-1:]:
                os.kill(child, signal.SIGKILL)

    def wait(self) -> Ended:
        """Wait for its end.

        Raises:
            TimeoutError: If there is none for minutes.
        """
        self._process.join(LONGEST_SECONDS)
        status = self._process.exitcode
        if status is None:
            raise TimeoutError(f"no end after {LONGEST_SECONDS:g} s: {self._texts()}")
        return Ended(status, *self._texts(), time.monotonic() - self._began)

    def _texts(self) -> list[str]:
        return [path.read_text("utf-8") if path.exists() else "" for path in self._said]


def run(
    command: Sequence[str] | Change,
    *,
    environment: Mapping[str, str] | None = None,
    change: Change | None = None,
) -> Ended:
    """Run a command to its end; arguments as of `Started`."""
    with Started(command, environment=environment, change=change) as process:
        return process.wait()


def _run(
    command: Sequence[str] | Change,
    change: Change | None,
    environment: dict[str, str],
    said: list[Path],
) -> None:
    os.chdir(CHECKOUT)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # the server has found one for itself
    if "HF_ENDPOINT" in environment:  # the server has read these too
        hub = importlib.import_module("huggingface_hub.constants")
        hub.ENDPOINT = environment["HF_ENDPOINT"]
        hub.HUGGINGFACE_CO_URL_TEMPLATE = hub.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
        hub.HF_HUB_CACHE = environment["HF_HOME"]
    for stream, path in zip((sys.stdout, sys.stderr), said, strict=True):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, stream.fileno())
        os.close(file)
    warnings.resetwarnings()
    # As in a command that was started by itself: its own processes are forked from it.
    multiprocessing.set_start_method("fork", force=True)
    _draw_blank()
    if change is not None:
        change()
    try:
        if callable(command):
            _call(command)
        sys.argv = ["plainfilm", *command]
        sys.path.insert(0, str(CHECKOUT))
        runpy.run_module("pipelines", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which a process of multiprocessing leaves out


def _call(function: Change) -> NoReturn:
    """Call a function as the command line calls that of a verb."""
    from pipelines.refusal_text import refusal_text, root_cause
    from pipelines.told_to_end import ends_when_told

    try:
        with ends_when_told():
            function()
    except Exception as error:  # noqa: BLE001 - said as the command line says it
        sys.stderr.write(f"plainfilm: {refusal_text(root_cause(error))}\n")
        sys.exit(1)
    sys.exit(0)


def _draw_blank() -> None:
    """Leave plots blank: drawing them is most of what a small run costs."""
    from matplotlib.figure import Figure
    from PIL import Image

    def save(_figure: Figure, path: Path, **_options: object) -> None:
        Image.new("L", (320, 240), 255).save(path)

    Figure.savefig = save
