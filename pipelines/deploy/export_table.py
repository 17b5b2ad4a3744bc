"""What an exported file is worth: size, speed, and how far its answers are from PyTorch's."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit

from pipelines.deploy.export_films import Films
from pipelines.evaluation.anomaly_point import AnomalyPoint
from pipelines.evaluation.calibration import log_odds
from pipelines.evaluation.cases import Floats, logits_of_classes
from pipelines.evaluation.delong import compare_aurocs
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.files import write_csv, write_json
from pipelines.text_table import text_table

Runner: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
Outputs: TypeAlias = npt.NDArray[np.float32]

BATCH = 8
_MAPS = 4
_WARM_UP = 2
_REPEATS = 7


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        format: What was run.
        megabytes: Size of its files.
        one_film_ms: Median time of one film alone, with the views that prediction averages.
        films_per_second: In batches of eight.
        films: How many films judged; 0 if noise did, for want of films.
        largest_change: Of any probability (of a reconstruction, any pixel), against PyTorch.
        mean_change: The mean of these changes.
        auroc: Of the films whose class is known.
        auroc_change: Against PyTorch on the same films.
        auroc_change_low: Lower end of its 95 % interval, by patient.
        auroc_change_high: Upper end.
    """

    format: str
    megabytes: float
    one_film_ms: float
    films_per_second: float
    films: int
    largest_change: float
    mean_change: float
    auroc: float | None = None
    auroc_change: float | None = None
    auroc_change_low: float | None = None
    auroc_change_high: float | None = None


class Judge:
    """Compares networks on the same films.

    Args:
        films: The films; none of them calibrated a network.
        point: Operating point of the weights; None where there is none.
        known: Whether these are films, and not noise.
    """

    def __init__(self, films: Films, point: object, *, known: bool = True) -> None:
        self._films = films
        self._point = point
        self._known = known
        self._reference: Outputs | None = None

    def row(self, name: str, run: Runner, files: Sequence[Path]) -> Row:
        """Measure a network; the first one is what the others are compared with.

        Args:
            name: What is run.
            run: From (batch, channel, height, width) to outputs.
            files: What it is stored in.
        """
        outputs = run_all(run, self._films)
        if self._reference is None:
            self._reference = outputs
        change = np.abs(self._answers(outputs) - self._answers(self._reference))
        one, batch = self._films.images[:1], self._films.images[:BATCH]
        same = [image for image in batch if image.shape == one[0].shape]
        return Row(
            name,
            sum(path.stat().st_size for path in files) / 1e6,
            1000 * median_seconds(run, torch.stack(one)),
            len(same) / median_seconds(run, torch.stack(same)),
            len(self._films) if self._known else 0,
            float(change.max()),
            float(change.mean()),
            **self._auroc(outputs),
        )

    def _answers(self, outputs: Outputs) -> Floats:
        if isinstance(self._point, OperatingPoint):
            return self._point.calibrate(outputs)
        if outputs.ndim == _MAPS and not isinstance(self._point, AnomalyPoint):
            return np.asarray(expit(outputs))
        return np.asarray(outputs)

    def _auroc(self, outputs: Outputs) -> dict[str, float]:
        labels, point = self._films.labels, self._point
        if not isinstance(point, OperatingPoint) or not point.positive or None in labels:
            return {}
        truth = np.isin(np.array(labels), point.positive)
        scores = [self._score(point, each) for each in (self._reference, outputs)]
        test = compare_aurocs(truth, *scores, groups=self._films.groups)
        if test is None:
            return {}
        from sklearn.metrics import roc_auc_score

        return {
            "auroc": float(roc_auc_score(truth, scores[1])),
            "auroc_change": test.difference,
            "auroc_change_low": test.low,
            "auroc_change_high": test.high,
        }

    @staticmethod
    def _score(point: OperatingPoint, outputs: Outputs | None) -> Floats:
        logits = logits_of_classes(np.asarray(outputs), len(point.classes))
        return logits if logits.ndim == 1 else log_odds(logits, point.temperature, point.positive)


@torch.inference_mode()
def run_all(run: Runner, films: Films) -> Outputs:
    """Run a network over films, in batches of one shape.

    Args:
        run: The network.
        films: The films; where their shapes differ, the outputs are put in one row.

    Returns:
        (n, …), or all values in one row.
    """
    found: list[Outputs] = []
    batch: list[torch.Tensor] = []
    for place, image in enumerate(films.images):
        batch.append(image)
        following = films.images[place + 1 : place + 2]
        if len(batch) == BATCH or not following or following[0].shape != image.shape:
            found.append(run(torch.stack(batch)).float().numpy())
            batch = []
    if len({each.shape[1:] for each in found}) > 1:
        return np.concatenate([each.reshape(-1) for each in found])
    return np.concatenate(found)


@torch.inference_mode()
def median_seconds(run: Runner, images: torch.Tensor) -> float:
    """Run a network a few times to warm up, then take the median of some more runs, in seconds."""
    for _ in range(_WARM_UP):
        run(images)
    taken = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        run(images)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


_HEADS = {
    "format": "format",
    "megabytes": "MB",
    "one_film_ms": "one film, ms",
    "films_per_second": "films/s",
    "largest_change": "largest change",
    "mean_change": "mean change",
    "auroc": "AUROC",
    "auroc_change": "its change (95 %)",
}


def as_text(rows: Sequence[Row]) -> str:
    """Lay the table out for the terminal."""
    lines = [tuple(_HEADS.values()), *(tuple(_cells(row)) for row in rows)]
    judged = rows[0].films
    by = f"{judged} films" if judged else "noise, since no films were given"
    return f"{text_table(lines)}\njudged by {by}; one film with all its views"


def _cells(row: Row) -> list[str]:
    change = ""
    if row.auroc_change is not None:
        low, high = row.auroc_change_low, row.auroc_change_high
        change = f"{row.auroc_change:+.5f} ({low:+.5f} to {high:+.5f})"
    return [
        row.format,
        f"{row.megabytes:.1f}",
        f"{row.one_film_ms:.1f}",
        f"{row.films_per_second:.1f}",
        f"{row.largest_change:.2g}",
        f"{row.mean_change:.2g}",
        "" if row.auroc is None else f"{row.auroc:.5f}",
        change,
    ]


def write_table(path: Path, rows: Sequence[Row], about: dict[str, Any]) -> None:
    """Keep the table beside an exported file, as `<file>.json` and `<file>.csv`.

    Args:
        path: The exported file.
        rows: The table.
        about: What else is said: bundle, how it was quantised.
    """
    made = [asdict(row) for row in rows]
    write_json(path.with_name(f"{path.name}.json"), {**about, "table": made})
    columns = list(made[0])
    cells = [{name: "" if row[name] is None else row[name] for name in columns} for row in made]
    write_csv(path.with_name(f"{path.name}.csv"), columns, cells)
