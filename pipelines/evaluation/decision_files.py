"""Decision curves become a table and a picture."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.classification import Evaluation
from pipelines.evaluation.decision_curve import DecisionCurve, decision_curve
from pipelines.evaluation.pictures import BLUE, GREY, legend_below, picture_file, plain_axes
from pipelines.evaluation.questions import is_whole
from pipelines.files import write_csv
from pipelines.table_cells import table_number

TABLE, PICTURE = "decision_curve.csv", "decision_curve.png"


def write_decision_curves(folder: Path, cases: Cases, *, evaluation: Evaluation) -> None:
    """Write `decision_curve.csv` and `decision_curve.png`.

    The picture shows what a threshold is put on: the second of two classes, or the positive ones
    together; where no class is positive it has a panel a class. The table has every class.

    Args:
        folder: Folder to write to.
        cases: The cases.
        evaluation: Of these cases.
    """
    # A positive class that is alone in its group is asked for twice, and told once.
    questions = {each.title: each for each in evaluation.operating_point.questions_of(cases)}
    curves = [
        decision_curve(question, cases.groups, resamples=evaluation.resamples, seed=evaluation.seed)
        for question in questions.values()
    ]
    write_csv(
        folder / TABLE,
        ["positive", "threshold", "model", "ci_low", "ci_high", "treat_all", "treat_none"],
        _rows(curves),
    )
    shown = [curve for curve in curves if is_whole(curve.suffix)] or curves
    _draw(folder / PICTURE, shown, evaluation=evaluation)


def _rows(curves: Sequence[DecisionCurve]) -> Iterator[dict[str, object]]:
    for curve in curves:
        columns = (curve.thresholds, curve.model, curve.low, curve.high, curve.treat_all)
        for threshold, *values in zip(*columns, strict=True):
            model, low, high, treat_all = map(_cell, values)
            yield {
                "positive": curve.title,
                "threshold": threshold,
                "model": model,
                "ci_low": low,
                "ci_high": high,
                "treat_all": treat_all,
                "treat_none": 0.0,
            }


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else table_number(value)


def _draw(path: Path, curves: Sequence[DecisionCurve], *, evaluation: Evaluation) -> None:
    across = math.ceil(math.sqrt(len(curves)))
    down = math.ceil(len(curves) / across)
    inches = (6.4, 4.6) if len(curves) == 1 else (3.6 * across, 0.9 + 2.6 * down)
    with picture_file(path, inches) as picture:
        for place, curve in enumerate(curves, start=1):
            axes = plain_axes(
                picture.add_subplot(down, across, place),
                f"Probability of {curve.title} at which to act",
                "Net benefit",
            )
            _draw_curve(axes, curve)
            threshold = evaluation.operating_point.threshold
            if threshold is not None and is_whole(curve.suffix):
                axes.axvline(
                    threshold, color="black", linestyle="--", label=f"Threshold {threshold:.3g}"
                )
        picture.suptitle(f"Decision curve · {evaluation.split}, {evaluation.n} films")
        legend_below(picture, axes, evaluation.note)


def _draw_curve(axes: Axes, curve: DecisionCurve) -> None:
    axes.fill_between(curve.thresholds, curve.low, curve.high, color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(curve.thresholds, curve.model, color=BLUE, label="Model, 95 % interval")
    axes.plot(curve.thresholds, curve.treat_all, color=GREY, linestyle=":", label="Act on all")
    axes.axhline(0, color=GREY, linewidth=1, label="Act on none")
    # Acting on all falls without end; what is far below none is of no use and takes the room.
    highest = max(float(np.nanmax([*curve.model, *curve.high, curve.treat_all[0]])), 0.01)
    axes.set_ylim(-0.15 * highest, 1.1 * highest)
    axes.set_xlim(0, 1)
