"""Several configuration files become one, by the rules of MONAI 1.6 and without importing it.

A top-level key replaces what was there; `a::b` (or `a#b`) sets one value inside and keeps its
siblings; `+a` updates a mapping or extends a list. A missing parent is an error.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import nearest
from pipelines.workflows.reading import SEPARATOR, normal_id

Placed: TypeAlias = Sequence[tuple[str, object]]
"""Ids and values of a configuration, outermost first."""

_MOST_DIGITS = 9
"""Of an index."""

_MOST_IDS = 1500
"""Among which the nearest one is looked for, microseconds for each, whenever an id is lost."""


def merge_key(config: dict[str, object], key: str, value: object) -> None:
    """Merge one top-level key of a later file into `config`.

    Raises:
        ConfigurationError: If the key has no parent, or `+` meets something else than two mappings
            or two lists.
    """
    present = look_up(config, key) if key.startswith("+") else None
    if present is None:
        set_value(config, key, value)
    elif isinstance(present, dict) and isinstance(value, Mapping):
        present.update(copy.deepcopy(dict(value)))
    elif isinstance(present, list) and isinstance(value, list):
        present.extend(copy.deepcopy(value))
    else:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected two mappings or two lists to merge for '{key}',"
            f" got {type(present).__name__} and {type(value).__name__}",
        )


def set_value(config: dict[str, object], key: str, value: object) -> None:
    """Set the value at an id.

    Raises:
        ConfigurationError: If the part before the last is no mapping or list.
    """
    parent_id, _, last = normal_id(key).rpartition(SEPARATOR)
    parent = look_up(config, parent_id) if parent_id else config
    if isinstance(parent, dict):
        parent[last] = copy.deepcopy(value)
    elif isinstance(parent, list) and (at := _index(last, parent)) is not None:
        parent[at] = copy.deepcopy(value)
    else:
        raise ConfigurationError(Reason.CONFIGURATION, f"nothing to set '{normal_id(key)}' in")


def look_up(config: object, key: str) -> object:
    """Return the value at an id; None where there is none."""
    for part in normal_id(key).split(SEPARATOR):
        if isinstance(config, Mapping):
            config = config.get(part)
        elif isinstance(config, list) and (at := _index(part, config)) is not None:
            config = config[at]
        else:
            return None
    return config


def exists(config: object, key: str) -> bool:
    """Whether there is something at an id, be it null."""
    parent_id, _, last = normal_id(key).rpartition(SEPARATOR)
    parent = look_up(config, parent_id) if parent_id else config
    if isinstance(parent, list):
        return _index(last, parent) is not None
    return isinstance(parent, Mapping) and last in parent


def _index(part: str, items: Sequence[object]) -> int | None:
    """Return the place in a list that a part of an id names; None if it names none."""
    # `²` is a digit that is no number, and Python refuses to read very long ones.
    if not (part.isascii() and part.isdigit()) or len(part) > _MOST_DIGITS:
        return None
    return int(part) if int(part) < len(items) else None


def first_missing(config: object, key: str) -> str | None:
    """Return the outermost part of an id that does not exist; None when all of it does."""
    parts = normal_id(key).split(SEPARATOR)
    prefixes = (SEPARATOR.join(parts[: depth + 1]) for depth in range(len(parts)))
    return next((each for each in prefixes if not exists(config, each)), None)


def walk(config: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Yield the id and the value of everything inside `config`, outermost first."""
    items: list[tuple[object, object]] = []
    if isinstance(config, Mapping):
        items = list(config.items())
    elif isinstance(config, list):
        items = list(enumerate(config))
    for key, value in items:
        child = f"{place}{SEPARATOR}{key}" if place else str(key)
        yield child, value
        yield from walk(value, child)


def nearest_id(config: object, key: str) -> str | None:
    """Return the existing id that `key` was most likely meant to be.

    Part by part the nearest key is taken; where none is near, the first id with the same last part
    is, so that `max_epochs` finds `train::trainer::max_epochs`. In a configuration of thousands of
    ids, which nobody has typed, none is looked for.
    """
    if next(islice(walk(config), _MOST_IDS, None), None) is not None:
        return None
    parts: list[str] = []
    level = config
    for part in normal_id(key).split(SEPARATOR):
        names = list(map(str, level)) if isinstance(level, Mapping) else []
        close = part if exists(level, part) else nearest(part, names)
        if close is None:
            return _same_ending(config, key)
        parts.append(close)
        level = look_up(level, close)
    return SEPARATOR.join(parts)


def _same_ending(config: object, key: str) -> str | None:
    last = normal_id(key).rpartition(SEPARATOR)[2]
    endings = {place.rpartition(SEPARATOR)[2]: place for place, _ in reversed(list(walk(config)))}
    close = nearest(last, [each for each in endings if not each.isdigit()])
    return endings[close] if close else None
