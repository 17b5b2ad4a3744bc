"""Whole commands in processes of their own that need not import torch and MONAI anew.

A server imports once what every command imports, most of the seconds that a small command takes,
and forks for each. What is forked is a process as users have it: its own memory, its own output,
and it can be killed at any moment. One command of each kind is started by the interpreter itself
in the acceptance tests, so that what an import alone would break is seen too.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import mock

from plot_fixture import blank_plots

CHECKOUT = Path(__file__).resolve().parents[1]
_IMPORTED = [
    *("monai.bundle", "monai.handlers", "monai.inferers", "monai.losses", "monai.networks.nets"),
    *("pipelines.workflows.run", "pipelines.workflows.outcome", "pipelines.inference.batch"),
    *("pipelines.training.monitoring", "pipelines.training.trainer", "tensorboard"),
]
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(_IMPORTED)


class Command:
    """A command that runs: `python -m MODULE ARGUMENTS`.

    Args:
        arguments: What stands behind the module's name.
        module: `pipelines` or `monai.bundle`.
        cwd: Folder to run in.
        environment: Variables beside those of this process.
        plots: Whether plots are drawn; without, they are white.
    """

    def __init__(
        self,
        *arguments: object,
        module: str = "pipelines",
        cwd: Path = CHECKOUT,
        environment: Mapping[str, str] | None = None,
        plots: bool = True,
    ) -> None:
        self.arguments = [*map(str, arguments)]
        self._folder = tempfile.TemporaryDirectory()
        self._said = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        # Read by torch when it is imported, which the server does.
        with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1", **(environment or {})}):
            forkserver.ensure_running()
            given = (module, self.arguments, cwd, dict(os.environ), self._said)
            self._process = context.Process(target=_run, args=given, kwargs={"plots": plots})
            self._process.start()

    def __enter__(self) -> Self:
        """Return the command, which is killed in the end if it still runs."""
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

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it as a power cut would, and wait for that."""
        self._process.kill()
        self._process.join()

    def terminate(self) -> None:
        """Ask it to end, as a service manager does."""
        self._process.terminate()

    @property
    def said(self) -> list[str]:
        """What it wrote so far: standard output, standard error."""
        return [path.read_text("utf-8") if path.exists() else "" for path in self._said]

    def wait(self, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Wait for its end.

        Args:
            timeout: In seconds; then it is an error.
        """
        self._process.join(timeout)
        status = self._process.exitcode
        assert status is not None, f"no end after {timeout} s: {self.said}"
        return subprocess.CompletedProcess(self.arguments, status, *self.said)


def run_command(
    *arguments: object,
    module: str = "pipelines",
    cwd: Path = CHECKOUT,
    environment: Mapping[str, str] | None = None,
    plots: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; arguments as of `Command`."""
    with Command(
        *arguments, module=module, cwd=cwd, environment=environment, plots=plots
    ) as command:
        return command.wait()


def _run(
    module: str,
    arguments: list[str],
    cwd: Path,
    environment: dict[str, str],
    said: list[Path],
    *,
    plots: bool,
) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in zip((sys.stdout, sys.stderr), said, strict=True):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, stream.fileno())
        os.close(file)
    warnings.resetwarnings()
    sys.argv = [module, *arguments]
    # `python -m` finds modules of the folder it runs in before all others.
    sys.path.insert(0, str(cwd))
    with contextlib.nullcontext() if plots else blank_plots():
        runpy.run_module(module, run_name="__main__", alter_sys=True)
