"""The folder of a run: where it is, what it records, and who may write into it."""

import importlib.metadata
import inspect
import json
import logging
import os
import platform
import re
import subprocess
import time
import uuid
import weakref
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import torch

from pipelines.datasets.data_card import FILE_NAME as DATA_CARD
from pipelines.datasets.datalist import Datalist
from pipelines.datasets.leak_report import FILE_NAME as LEAKAGE
from pipelines.datasets.leak_report import write_leaks
from pipelines.datasets.opened import Opened
from pipelines.errors import DatasetError, Reason, RunError
from pipelines.evaluation.leak_pictures import draw_leaks
from pipelines.files import read_json_object, write_json
from pipelines.networks.device import pick_device
from pipelines.training.ranks import ranks
from pipelines.unfinished import FILES, take_away
from pipelines.workflows.bundle import CHECKOUT

logger = logging.getLogger(__name__)

LAST_CHECKPOINT = "checkpoints/last.pt"
"""What a training run goes on from."""

# What may differ between a run and its continuation without changing what it computes.
# `initialize` and `_new_` tell one process from several, and a run may go on with another number.
_FREE_KEYS = frozenset({"output_dir", "bundle_root", "_desc_", "device", "initialize", "_new_"})
_VERSIONS = ("plainfilm", "torch", "monai", "pytorch-ignite", "numpy", "pydicom")
_NAMED_KEYS = 3
_STAMP_FORM = "%Y%m%d-%H%M%S"
_STAMP = re.compile(r"\d{8}-\d{6}-")
_STAMP_LENGTH = 15
_UNFINISHED = (f"{FILES}*", ".drawing-*")


def choose_run_folder(bundle_root: str) -> str:
    """Return the folder for a run that was given no `output_dir`.

    It is the newest unfinished run with the very same settings, if there is one, so that the
    command that was killed completes what it began; else a new `runs/<bundle>/<time>-<id>`. The
    folder is not made here. Of several processes the first one chooses.

    Args:
        bundle_root: Folder of the bundle.

    Returns:
        A path.
    """
    group = ranks()
    return group.from_main(_choose(bundle_root) if group.is_main else "")


def _choose(bundle_root: str) -> str:
    runs = runs_of(Path(bundle_root))
    settings = running_config()
    for folder in unfinished_runs(runs):
        if settings is not None and not differing_keys(folder, settings):
            return str(folder)
    return str(runs / f"{_stamp(runs)}-{uuid.uuid4().hex[:6]}")


def _stamp(runs: Path) -> str:
    """The time, but never before that of the newest run: the clock may have been set back."""
    names = (path.parent.name for path in runs.glob("*/config.json"))
    newest = max((name[:_STAMP_LENGTH] for name in names if _STAMP.match(name)), default="")
    now = time.strftime(_STAMP_FORM)
    if now > newest:
        return now
    then = datetime.strptime(newest, _STAMP_FORM) + timedelta(seconds=1)  # noqa: DTZ007 - as named
    return then.strftime(_STAMP_FORM)


def runs_of(bundle_root: Path) -> Path:
    """Return the folder of a bundle's runs.

    `runs` stands beside the folder `bundles`, or inside a bundle that lies elsewhere.
    """
    root = bundle_root.resolve()
    home = root.parent.parent if root.parent.name == "bundles" else root
    return home / "runs" / root.name


def unfinished_runs(runs: Path) -> list[Path]:
    """Return the run folders below `runs` that have settings but no figures yet, newest first."""
    begun = [path.parent for path in runs.glob("*/config.json")]
    return sorted((f for f in begun if not (f / "metrics.json").is_file()), reverse=True)


def running_config() -> dict[str, Any] | None:
    """Return the merged configuration that is being run, overrides included, or None.

    MONAI hands a component only its own arguments, and `python -m monai.bundle run` has no hook for
    the merged whole. The parser that is calling us has it, so it is looked for up the stack.
    """
    from monai.bundle import ConfigParser

    for caller in inspect.stack(context=0):
        parser = caller.frame.f_locals.get("self")
        if isinstance(parser, ConfigParser):
            return json.loads(json.dumps(parser.get(), default=str))  # type: ignore[no-any-return]
    return None


def differing_keys(folder: Path, settings: dict[str, Any]) -> list[str]:
    """Return the top-level keys in which a run's recorded settings differ from `settings`."""
    recorded = read_json_object(folder / "config.json")
    keys = (set(recorded) | set(settings)) - _FREE_KEYS
    return sorted(key for key in keys if recorded.get(key) != settings.get(key))


class RunRecord:
    """Opens the run folder and writes what was run, on what and with what.

    Args:
        output_dir: Folder of the run.
        dataset: The data set of the run.
        seed: Seed of the run.
        device: Device of the run, as `pick_device` takes it.
    """

    def __init__(
        self,
        output_dir: str | Path,
        *,
        dataset: Opened,
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.folder = Path(output_dir)
        self.dataset = dataset
        self.seed = seed
        self.device = pick_device(device)

    def start(self) -> None:
        """Check the data, then open the folder: new, or to go on with the same settings.

        Writes `config.json`, `environment.json`, `datalist.json` and `data_card.json`, and
        `leakage.csv` and `leakage.png` where the leak check found something. Of several processes
        the first one does; the others have to have the same films.

        Raises:
            DatasetError: If the data set cannot be used, its split leaks, or processes have
                different films.
            RunError: If the folder belongs to another run, is in use, or cannot be written.
        """
        datalist, group = self.dataset.datalist, ranks()
        if not group.alone:
            _require_same_films(datalist.fingerprint())
        if group.is_main:
            self._open(datalist)
        group.wait()

    def _open(self, datalist: Datalist) -> None:
        """Open the folder and write what is run.

        Raises:
            FileNotFoundError: If a film is gone.
            RunError: If the folder belongs to another run, is in use, or cannot be written.
        """
        self.dataset.check_leaks()
        settings = running_config()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._acquire()
            for pattern in _UNFINISHED:
                for left in self.folder.rglob(pattern):
                    take_away(left)
            fingerprint = datalist.fingerprint()
            if settings is not None:
                self._record_config(settings, fingerprint)
            datalist.write(self.folder / "datalist.json")
            write_json(self.folder / DATA_CARD, self.dataset.data_card)
            if self.dataset.findings:
                write_leaks(self.folder / LEAKAGE, self.dataset.findings)
                draw_leaks(self.folder, datalist, self.dataset.findings)
            write_json(self.folder / "environment.json", self._environment(fingerprint))
        except FileNotFoundError:  # folders are made as needed: it is a film that is gone
            raise
        except OSError as error:
            raise RunError(
                Reason.OUTPUT_UNWRITABLE,
                f"expected a folder that can be written as output_dir, got {error.strerror!r}; "
                "name another one, or make room",
            ) from error
        logger.info("%s", datalist)
        logger.info("Device: %s. Run folder: %s", self.device, self.folder)

    def _acquire(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows: two writers are not detected there.
            return
        lock = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR)
        weakref.finalize(self, os.close, lock)
        try:
            # The kernel drops the lock with the process, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                Reason.OUTPUT_IN_USE,
                f"expected output_dir {self.folder.name} to be free, another process is writing "
                "this run; wait for it, or name another output_dir",
            ) from error

    def _record_config(self, settings: dict[str, Any], fingerprint: str) -> None:
        if self._holds_results():
            differing = differing_keys(self.folder, settings)
            environment = read_json_object(self.folder / "environment.json")
            if environment.get("data_fingerprint") != fingerprint:
                differing.append("the films")
            if differing:
                shown = ", ".join(differing[:_NAMED_KEYS])
                raise RunError(
                    Reason.CONFIGURATION,
                    f"expected the settings of the run in {self.folder.name}, got others for "
                    f"{shown}; name another output_dir, or give the same settings to go on",
                )
        else:
            write_json(self.folder / "config.json", settings)

    def _holds_results(self) -> bool:
        """Whether anything in the folder would be mixed up with another run's."""
        return any((self.folder / name).is_file() for name in (LAST_CHECKPOINT, "metrics.json"))

    def _environment(self, fingerprint: str) -> dict[str, Any]:
        cuda = self.device.type == "cuda"
        return {
            "versions": {name: _version(name) for name in _VERSIONS},
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": torch.cuda.get_device_name(self.device) if cuda else str(self.device),
            "cpu_count": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "processes": ranks().size,
            "commit": _commit(),
            "seed": self.seed,
            "data_fingerprint": fingerprint,
        }


def _require_same_films(fingerprint: str) -> None:
    """Refuse processes, on several machines say, that have found different films.

    Raises:
        DatasetError: If they have.
    """
    given = ranks().gather(fingerprint)
    others = [rank for rank, each in enumerate(given) if each != given[0]]
    if others:
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected the same films in each of {len(given)} processes, process {others[0]} has "
            "others than process 0; give every machine the whole data set at the same place",
        )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    command = ["git", "-C", str(CHECKOUT), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
