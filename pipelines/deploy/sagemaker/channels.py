"""Channels become one data set: a folder with `train`, `val` and `test` in the layouts we know.

SageMaker mounts a folder a channel. They are linked, not copied. Tables (`metadata.csv`,
`labels.csv`), which stand above the splits in our layouts and in each channel here, are joined.
"""

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.datasets.datalist_rows import IMAGE_COLUMNS
from pipelines.datasets.films import SPLIT_OF_NAME, SPLITS, LayoutError
from pipelines.errors import ConfigurationError, Reason
from pipelines.files import write_csv
from pipelines.nearest import right_names

OTHERS = ("weights", "code", "model")
"""Channels that hold no films: hyperparameters name what is in them."""

_LESIONS = "metadata.csv"
_LABELS = "labels.csv"
_TABLES = {_LESIONS: _LESIONS, "ham10000_metadata.csv": _LESIONS, _LABELS: _LABELS}
"""Tables by name, and what they are called once they are joined."""

_LISTS = ("datalist.json", _LABELS)
"""What a single channel may hold in place of a layout of folders."""


def join_channels(channels: Mapping[str, Path], workspace: Path) -> Path:
    """Lay the channels out as one data set.

    Args:
        channels: Folder of each channel by name. One channel alone is the whole data set, in any
            layout; several are the splits that they are called after.
        workspace: Where links and joined tables are put; the same channels give the same paths.

    Returns:
        A folder or a file, as `dataset_dir` of a bundle takes it.

    Raises:
        ConfigurationError: If a channel has a name that says nothing, or there is none to train on.
        LayoutError: If some channels have a table and others have none.
    """
    splits = _by_split(channels)
    if list(splits) == ["train"]:
        alone = splits["train"]
        return next((alone / name for name in _LISTS if (alone / name).is_file()), alone)
    root = workspace / "dataset"
    root.mkdir(parents=True, exist_ok=True)
    for left in root.iterdir():
        left.unlink()
    for split, folder in splits.items():
        (root / split).symlink_to(folder.resolve(), target_is_directory=True)
    return _joined_tables(splits, root)


def _by_split(channels: Mapping[str, Path]) -> dict[str, Path]:
    """The folder of each split, in their order.

    Raises:
        ConfigurationError: If a name says nothing, stands for a split that another has, or there is
            no folder to train on.
    """
    found: dict[str, Path] = {}
    for name, folder in channels.items():
        split = SPLIT_OF_NAME.get(name)
        if split is None:
            if name not in OTHERS:
                raise ConfigurationError(
                    Reason.UNKNOWN_NAME,
                    f"no use for a channel named '{name}'{right_names(name, (*SPLITS, *OTHERS))}",
                )
            continue
        if split in found:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected one channel for the split '{split}', got two; leave one out",
            )
        found[split] = folder
    if not found.get("train", Path("none")).is_dir():
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a channel 'train' with films, got {', '.join(channels) or 'no channel'}; "
            "add it to InputDataConfig, or set SM_CHANNEL_TRAIN",
        )
    return {split: found[split] for split in SPLITS if split in found}


def _joined_tables(splits: Mapping[str, Path], root: Path) -> Path:
    tables = {split: _table(folder) for split, folder in splits.items()}
    if not any(tables.values()):
        return root
    without = [split for split, table in tables.items() if table is None]
    if without:
        raise LayoutError(
            f"expected a table in every channel or in none, got none in {', '.join(without)}",
            remedy=f"put a {_LESIONS} or {_LABELS} into each",
        )
    rows = [
        row for split, table in tables.items() if table is not None for row in _rows(table, split)
    ]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    names = {_TABLES[table.name.casefold()] for table in tables.values() if table is not None}
    joined = root / (_LABELS if _LABELS in names else _LESIONS)
    write_csv(joined, columns, [dict.fromkeys(columns, "") | row for row in rows])
    return joined if _LABELS in names else root


def _table(folder: Path) -> Path | None:
    return min((path for path in folder.iterdir() if path.name.casefold() in _TABLES), default=None)


def _rows(table: Path, split: str) -> Iterator[dict[str, str]]:
    """Rows of a channel's table: images named from the folder above it, the split told."""
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        header = lines.readline()
        lines.seek(0)
        reader = csv.DictReader(lines, delimiter=max(",;\t", key=header.count), restval="")
        below = _by_name(table.parent)
        for line in reader:
            row = {key.strip().casefold(): value for key, value in line.items() if key}
            column = next((name for name in IMAGE_COLUMNS if name in row), None)
            if column is not None:
                named = row[column].strip()
                row[column] = f"{split}/{below.get(named, named)}"
            yield row | {"split": split}


def _by_name(folder: Path) -> dict[str, str]:
    """Paths below a folder by each name that means one file: with and without its suffix."""
    found: dict[str, str] = {}
    several: set[str] = set()
    for parent, _folders, files in os.walk(folder, followlinks=True):
        for file in files:
            path = Path(parent, file)
            for name in {path.name, path.stem}:
                if name in found:
                    several.add(name)
                found[name] = path.relative_to(folder).as_posix()
    return {name: path for name, path in found.items() if name not in several}
