"""What a job hands back: a bundle with its new weights, and the tables and pictures of the run.

Each stands under its name when it is whole, and not before: it is put together beside, under a
name with a dot, and renamed.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import Reason, RunError
from pipelines.files import read_json_object, write_json, write_text
from pipelines.unfinished import FILES, held_folder
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.manifest import write_manifest

WEIGHTS = "model.pt"
RUN = "run"
"""Folder of the bundle that is handed back with what tells how it was trained."""

_OF_WEIGHTS = ("operating_point.json", "guard.npz", "profile.npz", "trained_on.npz")
_TRAINED = (WEIGHTS, *_OF_WEIGHTS, "refiner.pt", "refiner.json")
_TOLD = (
    *("metrics.json", "metrics.csv", "report.html", "log.csv", "curves.png", "class_info.json"),
    *("config.json", "environment.json", "data_card.json", "pretrained.json"),
)
_OWN_PLACE = frozenset({"bundle_root", "dataset_dir", "output_dir", "device", "weights"})
_OF_OTHER_WEIGHTS = shutil.ignore_patterns(
    *(".*", "__pycache__", "runs"),
    *("*.ts", "*.onnx", "*.xml", "*.bin", "*.engine"),
)
_LEFT_BEHIND = shutil.ignore_patterns("checkpoints", ".lock", ".writing-*")
_PAGE = """# {name}, trained anew

The weights in `models/` come from a training job. Their figures stand in `run/metrics.json`, their
page is `run/report.html`, the settings are those of `run/config.json`. Research only: it is not a
medical device and not for diagnosis.

What follows is the page of the bundle that was trained. Its figures are those of the weights that
the bundle ships, not of these.

"""


def hand_back_model(run: Path, bundle: Bundle, model_dir: Path) -> Path:
    """Put the bundle with the weights of a run into the folder that becomes `model.tar.gz`.

    Weights, operating point, guard and list of films are those of the run; `inference.json` gets
    what the run changed of the settings that it shares with `train.json`, such as the network.

    Args:
        run: Folder of a finished run.
        bundle: What was trained.
        model_dir: Where it is put, as a folder of the bundle's name.

    Returns:
        The bundle's folder; `plainfilm predict` takes it.

    Raises:
        RunError: If it cannot be written.
    """

    def fill(folder: Path) -> None:
        shutil.copytree(bundle.root, folder, ignore=_OF_OTHER_WEIGHTS, dirs_exist_ok=True)
        _replace_weights(run, folder / "models")
        settings = read_json_object(run / "config.json")
        _follow_settings(settings, folder / "configs" / bundle.inference.name, bundle)
        _state_figures(run, folder / "configs" / bundle.metadata.name)
        page = folder / "docs" / "README.md"
        if page.is_file():
            write_text(page, _PAGE.format(name=bundle.name) + page.read_text("utf-8"))
        for name in _TOLD:
            if (run / name).is_file():
                _copy(run / name, folder / RUN / name)
        write_manifest(Bundle(bundle.name, folder))

    return _placed(model_dir / bundle.name, fill)


def hand_back_run(run: Path, bundle: Bundle, output_data_dir: Path) -> Path:
    """Put tables, pictures and events of a run into the folder that becomes `output.tar.gz`.

    Args:
        run: Folder of a finished run; its checkpoints stay behind.
        bundle: What was trained.
        output_data_dir: Where they are put, as a folder of the bundle's name.

    Returns:
        That folder.

    Raises:
        RunError: If it cannot be written.
    """
    return _placed(
        output_data_dir / bundle.name,
        lambda folder: _copy_tree(run, folder),
    )


def _copy_tree(run: Path, folder: Path) -> None:
    shutil.copytree(run, folder, ignore=_LEFT_BEHIND, dirs_exist_ok=True)


def _placed(target: Path, fill: Callable[[Path], None]) -> Path:
    """Fill a folder and give it its name once it is whole.

    Raises:
        RunError: If it cannot be written.
    """
    try:
        with _beside(target) as folder:
            fill(folder)
            _flush(folder)
            if target.exists():  # of a start before this one
                shutil.rmtree(target)
            folder.replace(target)
    except OSError as error:
        raise RunError(
            Reason.OUTPUT_UNWRITABLE,
            f"expected a folder that can be written for {target.parent.name}, got "
            f"{error.strerror!r}; make room, or let the user of the container write there",
        ) from error
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    with held_folder(target.parent, f"{FILES}{target.name}-") as folder:
        folder.chmod(0o755)
        yield folder


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as written:
                os.fsync(written.fileno())


def _replace_weights(run: Path, models: Path) -> None:
    """Let the run's files take the place of the bundle's; what belonged to its weights goes."""
    if (run / WEIGHTS).is_file():
        for name in _OF_WEIGHTS:
            (models / name).unlink(missing_ok=True)
    for name in _TRAINED:
        if (run / name).is_file():
            _copy(run / name, models / name)


def _follow_settings(settings: dict[str, Any], path: Path, bundle: Bundle) -> None:
    """Let `inference.json` follow the run where it had the same value as `train.json`."""
    shipped, inference = read_json_object(bundle.train), read_json_object(path)
    changed = {
        key: settings[key]
        for key in inference.keys() & settings.keys() - _OWN_PLACE
        if inference[key] == shipped.get(key) != settings[key]
    }
    if changed:
        write_json(path, inference | changed)


def _state_figures(run: Path, path: Path) -> None:
    """State the run's own figures in the metadata, in place of those of the shipped weights."""
    metadata, measured = read_json_object(path), read_json_object(run / "metrics.json")
    figures = measured.get("metrics")
    stated: dict[str, Any] = {"split": f"{measured.get('split')}, {measured.get('n')} films"}
    for name, figure in (figures if isinstance(figures, dict) else {}).items():
        stated[name] = figure.get("value")
        if None not in {figure.get("low"), figure.get("high")}:
            stated[f"{name}_interval_95"] = [figure["low"], figure["high"]]
    write_json(path, metadata | {"eval_metrics": stated})


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
