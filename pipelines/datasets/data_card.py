"""The data card: what a data set holds, counted, as a report or a person wants to know it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.datasets.datalist import Datalist, Item
from pipelines.datasets.films import SPLITS
from pipelines.datasets.leak_kinds import LeakKind
from pipelines.datasets.survey import BINS, SurveyedFilm

FILE_NAME = "data_card.json"

_MOST_SIZES = 10
_ALL = "all"
"""In place of a class where every film shows all of them, as with masks."""

_TOLD_BY_TABLES = ("age", "sex", "laterality", "side", "view")
"""Columns whose gaps are counted, where a table has them."""


def describe_data(
    datalist: Datalist,
    surveyed: Sequence[SurveyedFilm],
    duplicates: Mapping[LeakKind, int] | None = None,
) -> dict[str, Any]:
    """Count what a data set holds.

    Args:
        datalist: The films.
        surveyed: What `survey_films` gives for the films in the order of `with_splits`.
        duplicates: How many times the leak check found each kind.

    Returns:
        What `data_card.json` holds: `films`, `groups`, `splits` (films and groups by split and
        class; `all` stands for the class where masks show all of them), `sizes` (the ten most
        frequent, and the films of `other_sizes`), `bit_depths`, `formats`, `histogram_edges` (33
        values from 0 to 1), `histograms` (by class, the mean over films of the share of pixels in
        each of 32 steps of grey), `duplicates` (by kind), `missing` (films without patient, spacing
        and such columns of a table as age and sex) and `unreadable`.
    """
    items = [item for _, item in datalist.with_splits()]
    seen = [film.facts for film in surveyed if film.facts is not None]
    sizes = Counter((film.width, film.height) for film in seen).most_common()
    return {
        "films": len(items),
        "groups": len({item["group"] for item in items}),
        "splits": _splits(datalist),
        "sizes": [
            {"width": width, "height": height, "count": count}
            for (width, height), count in sizes[:_MOST_SIZES]
        ],
        "other_sizes": sum(count for _, count in sizes[_MOST_SIZES:]),
        "bit_depths": _counted(str(film.bits) for film in seen),
        "formats": _counted(
            film.file_format.name for film in surveyed if film.file_format is not None
        ),
        "histogram_edges": [edge / BINS for edge in range(BINS + 1)],
        "histograms": _histograms(datalist, items, surveyed),
        "duplicates": {kind.value: (duplicates or {}).get(kind, 0) for kind in LeakKind},
        "missing": {
            "patient": datalist.without_patient,
            "spacing": sum(not film.has_spacing for film in seen),
            **_gaps(items),
        },
        "unreadable": len(surveyed) - len(seen),
    }


def _splits(datalist: Datalist) -> dict[str, dict[str, dict[str, int]]]:
    counted: dict[str, dict[str, dict[str, int]]] = {split: {} for split in SPLITS}
    for row in datalist.counts():
        of_class = counted[str(row["split"])]
        of_class[str(row.get("class", _ALL))] = {
            "films": int(row["films"]),
            "groups": int(row["patients"]),
        }
    return counted


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _histograms(
    datalist: Datalist, items: Sequence[Item], surveyed: Sequence[SurveyedFilm]
) -> dict[str, list[float]]:
    shares: dict[str, list[Any]] = {}
    for item, film in zip(items, surveyed, strict=True):
        if film.facts is not None:
            label = item["label"]
            name = datalist.classes[label] if isinstance(label, int) else _ALL
            shares.setdefault(name, []).append(film.facts.shares)
    return {
        name: [round(float(share), 6) for share in np.mean(of_class, axis=0)]
        for name, of_class in sorted(shares.items())
    }


def _gaps(items: Sequence[Item]) -> dict[str, int]:
    """Films without a value, by column, for the columns that a table has."""
    return {
        column: sum(str(item.get(column) or "").strip().lower() in _NOTHING for item in items)
        for column in _TOLD_BY_TABLES
        if any(column in item for item in items)
    }


_NOTHING = frozenset({"", "unknown", "nan", "none", "n/a", "na"})
