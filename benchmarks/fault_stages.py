"""What faults are put into: small commands of each kind, and what they leave when nothing fails."""

import csv
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from PIL import Image
from processes import Change, Ended, Started, run

from pipelines.datasets.phantoms import write_samples

BUNDLE = "pneumonia_classification"
UNFINISHED = (".writing-*", ".converting-*", ".drawing-*", ".filling-*", ".reading", ".fetched")
"""Names of what is not finished yet; nothing of it may be left behind."""

_NETWORK = {
    "_target_": "monai.networks.nets.DenseNet",
    **{"spatial_dims": 2, "in_channels": 1, "out_channels": 1},
    **{"block_config": [1, 1], "init_features": 8, "growth_rate": 4},
}
_SMALL = {"network_def": _NETWORK, "image_size": 32, "device": "cpu"}
_TRAINING = {**_SMALL, "batch_size": 4, "num_workers": 0}
# These tell times or where the run was, and differ between two runs that nothing disturbs.
_FREE = frozenset(
    {
        "seconds",
        "waited_percent",
        "films_per_second",
        "from_earlier_run",
        "output_dir",
        "commit",
        "num_workers",
    }
)
_PASSED_OVER = ("events.out.tfevents.*", ".lock", ".lock.json", "*.jsonl")
_CACHE_NAME = re.compile(r"[0-9a-f]{24}")  # of films at their places, which differ between trials


@dataclass(frozen=True)
class Stage:
    """A kind of command.

    Attributes:
        name: In the table.
        command: Arguments, or a function, from a trial's folder with `input` and `output` in it.
        films: Folder of the data set that becomes `input`.
        environment: Variables of the process.
    """

    name: str
    command: Callable[[Path], Sequence[str] | Change]
    films: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Trial:
    """One folder in which a stage runs, is disturbed, and runs again.

    Attributes:
        stage: What runs.
        folder: With `input`, `output`, `cache` for caches and `tmp` for temporary files in it.
    """

    stage: Stage
    folder: Path

    @classmethod
    def of(cls, stage: Stage, folder: Path) -> "Trial":
        """Make the folder anew; films are hard links, so that they look the same everywhere."""
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("output", "cache", "tmp"):
            (folder / name).mkdir(parents=True)
        shutil.copytree(stage.films, folder / "input", copy_function=os.link)
        return cls(stage, folder)

    @property
    def output(self) -> Path:
        """Where the results are."""
        return self.folder / "output"

    @property
    def options(self) -> dict[str, Any]:
        """What every process of this trial is started with."""
        places = {"TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "HF_HOME": "cache/hf"}
        environment = {name: str(self.folder / place) for name, place in places.items()}
        environment.update(self.stage.environment)
        return {"command": self.stage.command(self.folder), "environment": environment}

    def started(self, change: Change | None = None) -> Started:
        """Start the command."""
        return Started(**self.options, change=change)

    def run(self, change: Change | None = None) -> Ended:
        """Run the command to its end."""
        return run(**self.options, change=change)


def stages(folder: Path) -> tuple[dict[str, Stage], tuple[Trial, Ended]]:
    """Make films and weights.

    Returns:
        Every kind of command by name; the training that the weights are from, and how it ended.
    """
    films = folder / "films"
    write_samples("chest", films, count=24, seed=1)
    mixed = _mixed(films, folder / "mixed")
    weights = folder / "weights"
    training = Stage("train", partial(_train, epochs=4), films)
    made = Trial.of(training, folder / "made")
    ended = made.run()
    if ended.status:
        raise RuntimeError(ended.stderr)
    shutil.copytree(made.output, weights)
    every = (
        training,
        Stage("predict", partial(_predict, weights=weights), mixed),
        Stage("datalist", _datalist, films),
        Stage("film cache", _read_films, films),
        Stage("engine cache", _keep_network, mixed),
    )
    return {stage.name: stage for stage in every}, (made, ended)


def with_loaders(stage: Stage) -> Stage:
    """Return a training whose batches are made by processes of their own."""
    return replace(stage, command=partial(stage.command, more={"num_workers": 2}))


def _mixed(films: Path, folder: Path) -> Path:
    """A folder as users have it: films of two kinds, one of them broken, and a text."""
    shutil.copytree(films / "test", folder)
    broken = sorted(folder.rglob("*.dcm"))[0]
    (folder / "broken.dcm").write_bytes(broken.read_bytes()[:-2000])
    (folder / "notes.txt").write_text("no film", "utf-8")
    return folder


def _train(folder: Path, *, epochs: int, more: Mapping[str, object] | None = None) -> list[str]:
    given = {**_TRAINING, "train.trainer.max_epochs": epochs, **(more or {})}
    places = ["--data", str(folder / "input"), "--output", str(folder / "output")]
    return ["train", BUNDLE, *places, *_set(given)]


def _predict(folder: Path, *, weights: Path) -> list[str]:
    given = {**_SMALL, "weights": str(weights / "model.pt"), "engine.batch_size": 2}
    places = [str(folder / "input"), str(folder / "output")]
    return ["predict", BUNDLE, *places, "--dicom", "sr", *_set(given)]


def _datalist(folder: Path) -> list[str]:
    output = folder / "output" / "datalist.json"
    return ["datalist", "chest_xray", str(folder / "input"), "--output", str(output)]


def _read_films(folder: Path) -> Change:
    return partial(read_films, folder / "input", folder / "output")


def read_films(films: Path, cache: Path) -> None:
    """Prepare the training films of a data set into a cache, as the first step of a training."""
    from pipelines.training.dataset import RadiographDataset
    from pipelines.transforms.chains import radiograph_augmentation

    items = [{"image": str(p), "label": 0} for p in sorted(films.rglob("*.*"))]
    data = RadiographDataset(items, radiograph_augmentation(image_size=256), cache_dir=cache)
    data.read_all()


def _keep_network(_folder: Path) -> Change:
    return keep_network


def keep_network() -> None:
    """Keep a converted network, written in small pieces, and which engine was the quickest."""
    from pipelines.inference import engine_cache

    engine_cache.converted("network", _write_slowly)
    engine_cache.remember("choice", {"engine": "onnxruntime"})


def _write_slowly(path: Path) -> None:
    with path.open("wb") as network:
        for piece in range(250):
            network.write(bytes([piece]) * 5000)
            network.flush()
            time.sleep(0.001)


def _set(given: Mapping[str, object]) -> list[str]:
    return [f"--set={key}={json.dumps(value)}" for key, value in given.items()]


def half_files(folder: Path) -> list[str]:
    """Name every finished file below a folder that is not whole."""
    return [str(path.relative_to(folder)) for path in finished(folder) if not _is_whole(path)]


def leftovers(folder: Path) -> list[str]:
    """Name what was begun below a folder and neither finished nor removed."""
    left = [path for pattern in UNFINISHED for path in folder.rglob(pattern)]
    left += list((folder / "tmp").glob("plainfilm-*"))
    return sorted(str(path.relative_to(folder)) for path in left)


def doubled_rows(folder: Path) -> list[str]:
    """Name every film, epoch or object that stands in a table twice."""
    twice = []
    for path in finished(folder):
        if path.suffix == ".csv":
            keys = ("epoch", "filename", "object")
            rows = _rows(path)
            key = next((each for each in keys if rows and each in rows[0]), None)
            seen = [tuple(row.values()) if key is None else row[key] for row in rows]
            twice += [f"{path.name}: {each}" for each in {*seen} if seen.count(each) > 1]
    return twice


def differences(one: Path, two: Path) -> list[str]:
    """Name every file of two trials' folders that differs, or that only one of them has."""
    files = [
        {_CACHE_NAME.sub("*", str(path.relative_to(each))): path for path in finished(each)}
        for each in (one, two)
    ]
    found = [f"only once: {name}" for name in files[0].keys() ^ files[1].keys()]
    both = sorted(files[0].keys() & files[1].keys())
    return found + [
        name
        for name in both
        if not _equal(_content(files[0][name], one), _content(files[1][name], two))
    ]


def finished(folder: Path) -> Iterator[Path]:
    """Give every file of a trial's results but those that are not finished or grow by lines."""
    results = (path for name in ("output", "cache") for path in (folder / name).rglob("*"))
    for path in sorted(results):
        below = path.relative_to(folder).parts
        unfinished = any(Path(part).match(p) for part in below for p in UNFINISHED)
        if path.is_file() and not unfinished and not any(path.match(p) for p in _PASSED_OVER):
            yield path


def _is_whole(path: Path) -> bool:
    try:
        _content(path)
    except Exception:  # noqa: BLE001 - whatever a reader says of half a file
        return False
    return True


def _content(path: Path, folder: Path | None = None) -> Any:
    """What a file holds, as far as two runs must agree on it."""
    if path.suffix == ".json":
        text = path.read_text("utf-8")
        return _timeless(json.loads(text if folder is None else text.replace(str(folder), "")))
    return _READERS.get(path.suffix, Path.read_bytes)(path)


def _table(path: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k not in _FREE} for row in _rows(path)]


def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _picture(path: Path) -> str:
    with Image.open(path) as picture:
        picture.load()
    return "a picture"


def _page(path: Path) -> str:
    if not path.read_text("utf-8").rstrip().endswith("</html>"):
        raise ValueError("half a page")
    return "a page"


def _object(path: Path) -> str:
    pydicom.dcmread(path)
    return "a DICOM object"


_READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": _table,
    ".pt": partial(torch.load, weights_only=True),
    ".npz": _arrays,
    ".npy": np.load,
    ".png": _picture,
    ".html": _page,
    ".dcm": _object,
}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        rows = list(csv.reader(table))
    head, *rest = rows
    if any(len(row) != len(head) for row in rest) or not path.read_bytes().endswith(b"\n"):
        raise ValueError("half a row")
    return [dict(zip(head, row, strict=True)) for row in rest]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in _FREE}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and torch.equal(one, two)
    if isinstance(one, np.ndarray):
        return isinstance(two, np.ndarray) and np.array_equal(one, two)
    if isinstance(one, dict):
        same = isinstance(two, dict) and one.keys() == two.keys()
        return same and all(_equal(value, two[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_equal, one, two))
    if isinstance(one, float) and isinstance(two, float):
        # In what company a film comes is a matter of time, and changes last digits.
        return math.isclose(one, two, abs_tol=1e-5)
    return bool(one == two)
