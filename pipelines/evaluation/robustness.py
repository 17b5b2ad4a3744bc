"""How figures hold up when the look of the films shifts: a table, and a line of it for each shift.

The operating point stays as it is, and so do the films: only their look differs between the rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.evaluation.cases import TWO_CLASSES, Cases
from pipelines.evaluation.figures import TITLES, Figure
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.pictures import BLUE, GREY, VERMILION, picture_file, plain_axes
from pipelines.evaluation.questions import POSITIVE
from pipelines.files import write_csv
from pipelines.text_table import text_table
from pipelines.transforms.shifts import Setting

COLUMNS = ("shift", "strength", "films", "metric", "value", "ci_low", "ci_high", "change")
PLAIN = "none"
"""What the row of the films as they are is called."""

_METRICS = ("auroc", "accuracy", "sensitivity", "specificity")


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessTable:
    """Figures of the same films under shifts, at one operating point.

    Attributes:
        split: Name of the split.
        films: Number of films.
        titles: The figures of the table with their titles.
        plain: Figures of the films as they are, by name.
        shifted: Figures of each setting, by name.
    """

    split: str
    films: int
    titles: Mapping[str, str]
    plain: Mapping[str, Figure]
    shifted: Mapping[Setting, Mapping[str, Figure]]

    def worst(self, metric: str) -> tuple[Setting, float] | None:
        """Return the setting with the lowest value of a figure; None if none has any."""
        values = self._values(metric)
        return min(values, key=lambda each: each[1]) if values else None

    def mean(self, metric: str) -> float | None:
        """Return the mean of a figure over the settings, the films as they are left out."""
        values = [value for _, value in self._values(metric)]
        return sum(values) / len(values) if values else None

    def _values(self, metric: str) -> list[tuple[Setting, float]]:
        found = ((setting, figures[metric].value) for setting, figures in self.shifted.items())
        return [(setting, value) for setting, value in found if value is not None]

    def summary(self) -> dict[str, object]:
        """Return the worst and the mean of each figure, as `metrics.json` holds them."""
        figures: dict[str, object] = {}
        for metric in self.titles:
            worst = self.worst(metric)
            figures[metric] = {
                "plain": self.plain[metric].value,
                "mean": self.mean(metric),
                "worst": None if worst is None else worst[1],
                "worst_shift": None if worst is None else str(worst[0]),
            }
        return {"settings": list(map(str, self.shifted)), "metrics": figures}


def measure_robustness(
    cases: Cases,
    shifted: Mapping[Setting, Cases],
    point: OperatingPoint,
    *,
    split: str,
    seed: int = 0,
) -> RobustnessTable:
    """Measure the same films under each shift.

    Args:
        cases: The films as they are.
        shifted: The same films under each setting.
        point: Used unchanged.
        split: Name of the split.
        seed: Of the bootstrap by patient.

    Returns:
        The table.
    """
    titles = robustness_titles(point)

    def figures(each: Cases) -> dict[str, Figure]:
        found = point.figures_of(each, seed=seed)
        return {name: found[name] for name in titles}

    return RobustnessTable(
        split=split,
        films=len(cases),
        titles=titles,
        plain=figures(cases),
        shifted={setting: figures(each) for setting, each in shifted.items()},
    )


def robustness_titles(point: OperatingPoint) -> dict[str, str]:
    """Return the figures of the table with their titles.

    Where classes are judged together, AUROC, sensitivity and specificity are those of the group.
    """
    grouped = len(point.classes) > TWO_CLASSES and bool(point.positive_classes)
    suffix = f"_{POSITIVE}" if grouped else ""
    return {
        name if name == "accuracy" else f"{name}{suffix}": TITLES[name].partition(" (")[0]
        for name in _METRICS
    }


def format_robustness(table: RobustnessTable) -> str:
    """Lay the table out as text, values with 95 % intervals.

    Args:
        table: The table.

    Returns:
        Lines without a line end at the end.
    """
    head = ["shift", *table.titles.values(), "change of accuracy"]
    body = [
        [name, *(_cell(figures[metric]) for metric in table.titles), _signed(change)]
        for name, figures, change in _lines(table)
    ]
    lines = [head, *body, *_summary_lines(table)]
    first = f"{table.split}: {table.films} films under {len(table.shifted)} shifts; 95 % intervals"
    return f"{first}\n{text_table(lines)}"


def write_robustness(output_dir: Path, table: RobustnessTable) -> None:
    """Write `robustness.csv` and `robustness.png`.

    Args:
        output_dir: Folder to write to; made if missing.
        table: The table.
    """
    write_robustness_table(output_dir / "robustness.csv", table)
    _draw(output_dir / "robustness.png", table)


def write_robustness_table(path: Path, table: RobustnessTable) -> None:
    """Write a table with a row a shift and figure, whole or not at all."""
    write_csv(path, COLUMNS, _csv_rows(table))


def _lines(
    table: RobustnessTable,
) -> Iterator[tuple[str, Mapping[str, Figure], float | None]]:
    yield PLAIN, table.plain, None
    for setting, figures in table.shifted.items():
        change = _change(figures["accuracy"].value, table.plain["accuracy"].value)
        yield str(setting), figures, change


def _summary_lines(table: RobustnessTable) -> Iterator[list[str]]:
    means = [table.mean(metric) for metric in table.titles]
    yield ["mean", *(_number(value) for value in means), ""]
    worst = [table.worst(metric) for metric in table.titles]
    yield ["worst", *("-" if w is None else f"{w[1]:.3f} {w[0]}" for w in worst), ""]


def _csv_rows(table: RobustnessTable) -> Iterator[dict[str, object]]:
    rows: Sequence[tuple[str, object, Mapping[str, Figure]]] = [
        (PLAIN, None, table.plain),
        *((s.shift, s.strength, figures) for s, figures in table.shifted.items()),
    ]
    for shift, strength, figures in rows:
        for metric in table.titles:
            figure = figures[metric]
            yield {
                "shift": shift,
                "strength": strength,
                "films": table.films,
                "metric": metric,
                "value": figure.value,
                "ci_low": figure.low,
                "ci_high": figure.high,
                "change": _change(figure.value, table.plain[metric].value),
            }


def _draw(path: Path, table: RobustnessTable) -> None:
    """Draw a panel a figure, a line a shift; a dashed line is the value without any."""
    places = list(range(len(table.shifted)))
    inches = (2.2 + 2.4 * len(table.titles), 1.4 + 0.28 * len(places))
    with picture_file(path, inches) as picture:
        panels = picture.subplots(1, len(table.titles), sharey=True)
        for axes, (metric, title) in zip(panels, table.titles.items(), strict=True):
            plain_axes(axes, title, "")
            plain = table.plain[metric].value
            if plain is not None:
                axes.axvline(plain, color=GREY, linestyle="--", linewidth=1.2)
            worst = table.worst(metric)
            for place, (setting, figures) in zip(places, table.shifted.items(), strict=True):
                figure = figures[metric]
                if figure.value is None:
                    continue
                lowest = worst is not None and setting == worst[0]
                colour, mark = (VERMILION, "D") if lowest else (BLUE, "o")
                if figure.low is not None and figure.high is not None:
                    axes.plot([figure.low, figure.high], [place, place], color=colour, linewidth=2)
                axes.plot([figure.value], [place], mark, color=colour, markersize=5)
        panels[0].set_yticks(places, list(map(str, table.shifted)))
        panels[0].set_ylim(len(places) - 0.5, -0.5)
        picture.suptitle(
            f"{table.split}, {table.films} films under shifts · dashed: the films as they are · "
            "diamond: the lowest",
            fontsize="medium",
        )


def _cell(figure: Figure) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return _number(figure.value)
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"


def _change(value: float | None, plain: float | None) -> float | None:
    return None if value is None or plain is None else value - plain
