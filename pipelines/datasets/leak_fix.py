"""A list without leaks: copies tied and moved to one side, or left out."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from pipelines.datasets.copies import places_of
from pipelines.datasets.datalist import Datalist
from pipelines.datasets.films import SPLITS, Split
from pipelines.datasets.groups import tie_groups
from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names

Fix: TypeAlias = Literal["group", "drop"]
"""What becomes of copies: tied and moved to one side, or left out but for one."""

_Film: TypeAlias = tuple[Split, dict[str, Any]]


def check_fix(name: str) -> None:
    """Refuse what is no way to mend a split.

    Raises:
        ConfigurationError: With the nearest right name.
    """
    known = get_args(Fix)
    if name not in known:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected group or drop as --fix, got {name!r}{right_names(name, known)}",
        )


def fix_leaks(datalist: Datalist, fix: Fix) -> Datalist:
    """Make a list that leaks no more.

    `group` gives copies one group, and where a group stands on two sides of a split its films move
    to the earlier of them, the training split first: nothing is lost, and a test split may shrink.
    `drop` leaves out all but one of the copies of a film, all of them where their labels
    contradict, and films whose group stands in a later split: what is kept stands in the later
    split, test first, so that a test split stays whole.

    Args:
        datalist: The list.
        fix: How.

    Returns:
        The list, with a note of what was done.
    """
    films = list(datalist.with_splits())
    paths = [Path(item["image"]) for _, item in films]
    sets = places_of(datalist.film_copies().sets, paths)
    fixed = _grouped(films, sets) if fix == "group" else _thinned(films, sets)
    parts: dict[Split, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for split, item in fixed:
        parts[split].append(item)
    return replace(
        datalist,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        notes=(*datalist.notes, _note(films, fixed)),
    )


def _grouped(films: Sequence[_Film], sets: Sequence[Sequence[int]]) -> list[_Film]:
    groups = tie_groups([str(item["group"]) for _, item in films], sets)
    sides: dict[str, set[Split]] = defaultdict(set)
    for (split, _), group in zip(films, groups, strict=True):
        sides[group].add(split)
    return [
        (min(sides[group], key=SPLITS.index), item | {"group": group})
        for (_, item), group in zip(films, groups, strict=True)
    ]


def _thinned(films: Sequence[_Film], sets: Sequence[Sequence[int]]) -> list[_Film]:
    dropped: set[int] = set()
    for places in sets:
        labels = {films[place][1]["label"] for place in places}
        contradicting = len(labels) > 1 and all(isinstance(label, int) for label in labels)
        kept = {max(places, key=lambda place: (SPLITS.index(films[place][0]), -place))}
        dropped.update(places if contradicting else set(places) - kept)
    left = [film for place, film in enumerate(films) if place not in dropped]
    latest: dict[str, int] = {}
    for split, item in left:
        group = str(item["group"])
        latest[group] = max(latest.get(group, 0), SPLITS.index(split))
    return [
        (split, item) for split, item in left if SPLITS.index(split) == latest[str(item["group"])]
    ]


def _note(films: Sequence[_Film], fixed: Collection[_Film]) -> str:
    before = {item["image"]: (split, item["group"]) for split, item in films}
    after = {item["image"]: (split, item["group"]) for split, item in fixed}
    moved = sum(before[image][0] != split for image, (split, _) in after.items())
    tied = sum(before[image][1] != group for image, (_, group) in after.items())
    left_out = len(before) - len(after)
    done = [
        f"{count} films {what}"
        for count, what in (
            (left_out, "left out"),
            (moved, "moved to an earlier split"),
            (tied, "tied to the group of a copy"),
        )
        if count
    ]
    return f"leaks mended: {', '.join(done) or 'there was nothing to do'}"
