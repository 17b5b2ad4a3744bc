"""Training curves from the log of a run."""

import csv
import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipelines.errors import Reason, RunError
from pipelines.evaluation.cases import Floats
from pipelines.evaluation.figures import TITLES
from pipelines.evaluation.pictures import BLUE, GREY, VERMILION, picture_file, plain_axes

_SIDES = ("train", "val")
_COLOURS = dict(zip(_SIDES, (BLUE, VERMILION), strict=True))


def draw_training_curves(path: Path, log: Path) -> None:
    """Draw every numeric column of a training log against the epoch.

    Columns that differ only in `train_` and `val_` share a panel. Empty cells and cut rows leave
    gaps.

    Args:
        path: PNG to write.
        log: CSV with a header line, `epoch` among its columns, and a row an epoch.

    Raises:
        RunError: If the log has no epoch or no other numeric column.
    """
    columns = _numeric_columns(log)
    epochs = columns.pop("epoch", None)
    if epochs is None or not columns:
        raise RunError(
            Reason.CONFIGURATION,
            f"expected a column `epoch` and another with numbers in {log.name}, got "
            f"{', '.join(columns) or 'none'}; let the run finish its first epoch",
        )
    panels: dict[str, dict[str, Floats]] = {}
    for name, values in columns.items():
        side, _, rest = name.partition("_")
        panel, line = (rest, side) if side in _SIDES and rest else (name, "")
        panels.setdefault(panel, {})[line] = values
    across = min(3, math.ceil(math.sqrt(len(panels))))
    down = -(-len(panels) // across)
    with picture_file(path, (4.2 * across, 3.1 * down)) as picture:
        for place, (panel, lines) in enumerate(panels.items(), start=1):
            axes = plain_axes(picture.add_subplot(down, across, place), "Epoch", "")
            _draw_panel(axes, epochs, lines)
            axes.set_title(TITLES.get(panel, panel.replace("_", " ").capitalize()))


def _draw_panel(axes: Axes, epochs: Floats, lines: dict[str, Floats]) -> None:
    for line, values in lines.items():
        axes.plot(
            epochs,
            values,
            color=_COLOURS.get(line, GREY),
            linestyle="--" if line == "train" else "-",
            marker="o",
            markersize=3,
            label={"train": "Training", "val": "Validation"}.get(line, ""),
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(lines):
        axes.legend()


def _numeric_columns(log: Path) -> dict[str, Floats]:
    with log.open(newline="", encoding="utf-8") as content:
        rows = list(csv.DictReader(content))
    columns = {}
    for name in rows[0] if rows else ():
        values = np.array([_number(row.get(name)) for row in rows])
        if np.isfinite(values).any():
            columns[name] = values
    return columns


def _number(cell: object) -> float:
    try:
        number = float(str(cell))
    except ValueError:
        return np.nan
    return number if np.isfinite(number) else np.nan
