"""Runs side by side: one table as text and CSV, one picture, each figure with its interval."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.evaluation.figures import Figure
from pipelines.evaluation.pictures import BLUE, picture_file, plain_axes
from pipelines.files import write_csv
from pipelines.table_cells import table_name
from pipelines.text_table import text_table

TITLES = {
    "accuracy": "Accuracy",
    "ppv": "Precision",
    "sensitivity": "Recall",
    "f1": "F1",
    "auroc": "AUROC",
}
"""The figures that users publish of a classifier, in this order; of other runs the first ones."""

_MOST = 5
_NAME = "run"


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A finished run, as a row of the table.

    Attributes:
        name: What it is called in the table.
        split: Name of the split that was evaluated.
        films: Number of its films.
        figures: Every figure of the run by name.
        parameters: Number of trained parameters; None where the network cannot be built.
        films_per_second: Of the network alone, on this machine; None where it was not measured.
    """

    name: str
    split: str
    films: int
    figures: Mapping[str, Figure]
    parameters: int | None = None
    films_per_second: float | None = None


def compared_figures(runs: Sequence[ComparedRun]) -> dict[str, str]:
    """Return the names of the figures that the table shows, with their titles.

    Args:
        runs: At least one.
    """
    common = [name for name in runs[0].figures if all(name in run.figures for run in runs)]
    usual = {name: title for name, title in TITLES.items() if name in common}
    return usual or {name: name for name in common[:_MOST]}


def format_comparison(runs: Sequence[ComparedRun]) -> str:
    """Lay the table out as text, values with 95 % intervals.

    Args:
        runs: At least one.

    Returns:
        Lines without a line end at the end.
    """
    shown = compared_figures(runs)
    head = [_NAME, *shown.values(), "parameters", "films/s"]
    body = [
        [
            run.name,
            *(figure_cell(run.figures[name]) for name in shown),
            "-" if run.parameters is None else f"{run.parameters / 1e6:.2f} M",
            "-" if run.films_per_second is None else f"{run.films_per_second:.1f}",
        ]
        for run in runs
    ]
    first = f"{runs[0].split}: {runs[0].films} films; 95 % intervals"
    return f"{first}\n{text_table([head, *body])}"


def figure_cell(figure: Figure) -> str:
    """Write a figure with its interval for a table; a dash for none."""
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"


def write_comparison(output_dir: Path, runs: Sequence[ComparedRun]) -> None:
    """Write `comparison.csv` and `comparison.png`.

    Args:
        output_dir: Folder to write to; made if missing.
        runs: At least one.
    """
    shown = compared_figures(runs)
    ends = {"": "value", "_low": "low", "_high": "high"}
    columns = [f"{name}{end}" for name in shown for end in ends]
    write_csv(
        output_dir / "comparison.csv",
        [_NAME, "split", "films", *columns, "parameters", "films_per_second"],
        _rows(runs, shown, ends),
    )
    draw_runs(output_dir / "comparison.png", runs, shown)


def _rows(
    runs: Sequence[ComparedRun], shown: Mapping[str, str], ends: Mapping[str, str]
) -> Iterator[dict[str, object]]:
    for run in runs:
        figures = {
            f"{name}{end}": getattr(run.figures[name], field)
            for name in shown
            for end, field in ends.items()
        }
        speed = run.films_per_second
        yield {
            _NAME: table_name(run.name),
            "split": run.split,
            "films": run.films,
            **figures,
            "parameters": run.parameters,
            "films_per_second": None if speed is None else round(speed, 2),
        }


def draw_runs(path: Path, runs: Sequence[ComparedRun], shown: Mapping[str, str]) -> None:
    """Draw a panel a figure, a line a run, each point with its interval.

    Args:
        path: PNG to write.
        runs: At least one.
        shown: Names of the figures with their titles.
    """
    places = list(range(len(runs)))
    inches = (2.0 + 2.2 * len(shown), 1.2 + 0.35 * len(runs))
    with picture_file(path, inches) as picture:
        panels = picture.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (name, title) in zip(panels, shown.items(), strict=True):
            plain_axes(axes, title, "")
            for place, run in zip(places, runs, strict=True):
                figure = run.figures[name]
                if figure.value is None:
                    continue
                if figure.low is not None and figure.high is not None:
                    axes.plot([figure.low, figure.high], [place, place], color=BLUE, linewidth=2)
                axes.plot([figure.value], [place], "o", color=BLUE)
        panels[0].set_yticks(places, [run.name for run in runs])
        panels[0].invert_yaxis()
