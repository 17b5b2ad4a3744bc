"""Figures of parts of a split: each value of a column, such as sex, age or view, by itself.

A figure over all films can hide that a part of them fares worse. Parts are small, so what counts
are the intervals; with many of them, some lie apart by chance.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pipelines.datasets.traits import NOT_STATED
from pipelines.evaluation.cases import Integers
from pipelines.evaluation.figures import Figure
from pipelines.evaluation.pictures import BLUE, GREY, note_below, picture_file, plain_axes
from pipelines.files import write_csv
from pipelines.table_cells import table_name

ALL = "all"
"""Stands for every film of the split, as column and as subgroup."""

TABLE, PICTURE = "subgroups.csv", "subgroups.png"

Columns = Mapping[str, Sequence[str]]
"""The value of each film, by column."""

Measure = Callable[[Integers], Mapping[str, Figure]]
"""From the places of films to their figures by name."""

_LONGEST = 36


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The films with one value in one column.

    Attributes:
        column: Name of the column; `all` for all films.
        name: The value.
        films: How many.
        groups: Of how many patients.
        figures: By name, with 95 % intervals by patient.
    """

    column: str
    name: str
    films: int
    groups: int
    figures: Mapping[str, Figure]


def measure_subgroups(
    columns: Columns, groups: Sequence[str], *, measure: Measure
) -> list[Subgroup]:
    """Measure all films, and those of each value of each column.

    Args:
        columns: The values of the films.
        groups: Patient of each film.
        measure: Gives the figures of films by their places.

    Returns:
        The subgroups, all films first, then column by column, values in order; those that are not
        stated come last. None without columns.
    """
    if not columns:
        return []

    def part(column: str, name: str, places: Integers) -> Subgroup:
        patients = len({groups[place] for place in places})
        return Subgroup(column, name, len(places), patients, figures=measure(places))

    found = [part(ALL, ALL, np.arange(len(groups)))]
    for column, values in columns.items():
        told = np.asarray(values, dtype=np.str_)
        names = sorted(set(values), key=_order)
        found += [part(column, name, np.flatnonzero(told == name)) for name in names]
    return found


def write_subgroups(
    folder: Path,
    subgroups: Sequence[Subgroup],
    *,
    shown: Mapping[str, str],
    heading: str,
    note: str = "",
) -> None:
    """Write `subgroups.csv` and `subgroups.png`; nothing where there are no subgroups.

    Args:
        folder: Folder to write to.
        subgroups: All films first.
        shown: The figures of the picture, by name with their titles.
        heading: Title of the picture.
        note: What stands below it.
    """
    if not subgroups:
        return
    columns = ["column", "subgroup", "films", "groups", "metric", "value", "ci_low", "ci_high"]
    write_csv(folder / TABLE, columns, _rows(subgroups))
    said = f"95 % intervals; films (patients) of each subgroup. {note}"
    _draw(folder / PICTURE, subgroups, shown=shown, heading=heading, note=said)


def _order(name: str) -> tuple[bool, float, str]:
    """Numbers by size, bands of ages by their beginning, words by the alphabet."""
    number = name.partition("-")[0].rstrip("+")
    try:
        return name == NOT_STATED, float(number), name
    except ValueError:
        return name == NOT_STATED, np.inf, name


def _rows(subgroups: Sequence[Subgroup]) -> Iterator[dict[str, object]]:
    for each in subgroups:
        for metric, figure in each.figures.items():
            yield {
                "column": table_name(each.column),
                "subgroup": table_name(each.name),
                "films": each.films,
                "groups": each.groups,
                "metric": metric,
                "value": figure.value,
                "ci_low": figure.low,
                "ci_high": figure.high,
            }


def _draw(
    path: Path,
    subgroups: Sequence[Subgroup],
    *,
    shown: Mapping[str, str],
    heading: str,
    note: str,
) -> None:
    """Draw a panel a figure, a line a subgroup, all films as a dashed line across."""
    places = _places(subgroups)
    labels = [f"{_label(each)}  {each.films} ({each.groups})" for each in subgroups]
    inches = (3.4 + 2.4 * len(shown), 1.4 + 0.28 * (places[-1] + 1))
    with picture_file(path, inches) as picture:
        panels = picture.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (metric, title) in zip(panels, shown.items(), strict=True):
            plain_axes(axes, title, "")
            axes.grid(visible=False, axis="y")
            _draw_panel(axes, [each.figures[metric] for each in subgroups], places)
        panels[0].set_yticks(places, labels)
        panels[0].set_ylim(places[-1] + 0.8, -0.8)
        picture.suptitle(heading)
        note_below(picture, note)


def _draw_panel(axes: Axes, figures: Sequence[Figure], places: Sequence[float]) -> None:
    for figure, place in zip(figures, places, strict=True):
        if figure.value is None:
            continue
        if figure.low is not None and figure.high is not None:
            axes.plot([figure.low, figure.high], [place, place], color=BLUE, linewidth=2)
        axes.plot([figure.value], [place], "o", color=BLUE, markersize=5)
    if figures[0].value is not None:
        axes.axvline(figures[0].value, color=GREY, linestyle="--", linewidth=1)


def _places(subgroups: Sequence[Subgroup]) -> list[float]:
    """Where each line stands, with room between columns."""
    places = [0.0]
    for before, each in pairwise(subgroups):
        places.append(places[-1] + (1.0 if each.column == before.column else 1.6))
    return places


def _label(subgroup: Subgroup) -> str:
    if subgroup.column == ALL:
        return "All films"
    text = f"{subgroup.column}: {subgroup.name}"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
