"""Polygons of named structures, read from the JSON files of an annotation tool.

One file belongs to one film. It holds `annotations`, one polygon a structure: `label`, `type`
(`poly_seg`) and `points`, [x, y] in pixels of the film, x to the right, y down, whole numbers at
the centres of pixels. `metadata` may say the `height` and `width` of the film.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.errors import InputError, Reason
from pipelines.ingest.guard import guard_input
from pipelines.ingest.limits import check_file_bytes
from pipelines.nearest import did_you_mean

Points: TypeAlias = npt.NDArray[np.float64]
"""(n, 2): x to the right and y down, in pixels; the centre of the first pixel is (0, 0)."""

_TYPE = "poly_seg"
_FEWEST_POINTS = 3
_TOLERANCE = 1.0
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a file says of its film, and what is wrong with it.

    Attributes:
        polygons: The points of each structure, by its name; clipped to the film.
        problems: What is wrong, a sentence each; empty for a file that can be used.
    """

    polygons: dict[str, Points]
    problems: tuple[str, ...]


def inspect_annotation(path: Path, *, classes: Sequence[str], size: tuple[int, int]) -> Annotation:
    """Read an annotation file and find everything that is wrong with it.

    Args:
        path: The JSON file.
        classes: Names of the structures; each must be there, once.
        size: Height and width of the film.

    Returns:
        The polygons that can be used, and the problems. A point up to one pixel outside of the film
        is moved to its edge, since tools round; one further away is a problem.
    """
    try:
        content = _read(path)
    except InputError as refusal:
        return Annotation({}, (str(refusal),))
    problems = list(_size_problems(content, size))
    polygons: dict[str, Points] = {}
    counts: Counter[str] = Counter()
    for place, entry in enumerate(content["annotations"]):
        label = entry.get("label") if isinstance(entry, dict) else None
        if not isinstance(label, str):
            problems.append(f"expected a label in every annotation, got none in number {place + 1}")
            continue
        if label not in classes:
            problems.append(f"got the unknown label {label!r}{did_you_mean(label, classes)}")
            continue
        counts[label] += 1
        points, problem = _points(entry, size)
        if points is not None:
            polygons[label] = points
        if problem:
            problems.append(f"{label}: {problem}")
    missing = [name for name in classes if not counts[name]]
    doubled = [name for name, count in counts.items() if count > 1]
    problems += [f"the label {name} stands there {counts[name]} times" for name in doubled]
    if missing:
        problems.append(f"no polygon for {_listed(missing)}")
    return Annotation(polygons, tuple(problems))


def read_annotation(
    path: Path, *, classes: Sequence[str], size: tuple[int, int]
) -> dict[str, Points]:
    """Read an annotation file that must be free of problems.

    Args:
        path: The JSON file.
        classes: Names of the structures; each must be there, once.
        size: Height and width of the film.

    Returns:
        The points of each structure, by its name.

    Raises:
        InputError: CORRUPT, with the first problems.
    """
    found = inspect_annotation(path, classes=classes, size=size)
    if found.problems:
        raise InputError(
            Reason.CORRUPT,
            f"expected one good polygon for each of {len(classes)} names, got problems: "
            f"{_listed(found.problems)}; correct the annotation",
        )
    return found.polygons


def _read(path: Path) -> dict[str, Any]:
    with guard_input():
        check_file_bytes(path)
        text = path.read_bytes()
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        place = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(
            Reason.CORRUPT, f"expected JSON, got {type(error).__name__}{place}; export it again"
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise InputError(
            Reason.CORRUPT, "expected a list named 'annotations', got none; export it again"
        )
    return content


def _size_problems(content: dict[str, Any], size: tuple[int, int]) -> Iterator[str]:
    metadata = content.get("metadata")
    if not isinstance(metadata, dict) or not {"height", "width"} <= metadata.keys():
        return
    named = (metadata["height"], metadata["width"])
    if named != size:
        yield f"expected the size of the film, {size[0]} x {size[1]}, got {named[0]} x {named[1]}"


def _points(entry: dict[str, Any], size: tuple[int, int]) -> tuple[Points | None, str]:
    """The points of an annotation, and what is wrong with them."""
    kind = entry.get("type", _TYPE)
    if kind != _TYPE:
        return None, f"expected a polygon of the type {_TYPE}, got {kind!r}"
    values = entry.get("points")
    if not isinstance(values, list) or not all(_is_point(value) for value in values):
        return None, "expected points as a list of [x, y], got something else"
    if len({(x, y) for x, y in values}) < _FEWEST_POINTS:
        return None, f"expected at least {_FEWEST_POINTS} points, got {len(values)}"
    points = np.array(values, dtype=np.float64)
    edge = np.array([size[1] - 1, size[0] - 1], dtype=np.float64)
    outside = np.any((points < -_TOLERANCE) | (points > edge + _TOLERANCE), axis=1)
    if outside.any():
        x, y = points[outside][0]
        return None, (
            f"expected points on the film of {size[0]} x {size[1]}, got "
            f"{int(outside.sum())} outside, such as [{x:g}, {y:g}]"
        )
    return np.clip(points, 0, edge), ""


def _is_point(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2  # noqa: PLR2004 - x and y
        and all(type(part) in {int, float} and math.isfinite(part) for part in value)
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
