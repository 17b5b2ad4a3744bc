"""Values of a configuration, judged as they are written: their kind, and numbers too small.

What MONAI makes of a component, a reference or an expression is not known here, so those stand for
anything.
"""

import json
from collections.abc import Iterator, Mapping

from pipelines.workflows.components import is_component
from pipelines.workflows.merging import Placed
from pipelines.workflows.reading import SEPARATOR
from pipelines.workflows.references import Complaint

_LEAST = {
    "max_epochs": 1,
    "batch_size": 1,
    "val_interval": 1,
    "image_size": 1,
    "num_workers": 0,
}
"""The smallest number that stands under a key of this name."""

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),  # before int: Python's booleans are whole numbers
    (int, "a whole number"),
    (float, "a number"),
    (str, "a string"),
    (list, "a list"),
    (Mapping, "an object"),
)
_LONGEST = 40


def check_kind(place: str, *, present: object, given: object) -> Complaint | None:
    """Compare a given value with the one that it replaces.

    Args:
        place: Id of the key.
        present: What stands in the configuration.
        given: What shall take its place.

    Returns:
        A complaint if the kinds differ; a whole number may stand for any number.
    """
    expected, found = _kind(present), _kind(given)
    if expected is None or found in {None, expected}:
        return None
    if (expected, found) == ("a number", "a whole number"):
        return None
    return Complaint(
        place, f"expected {expected} like {_shown(present)}, got {found}: {_shown(given)}"
    )


def check_least(inside: Placed) -> Iterator[Complaint]:
    """Find numbers of films, epochs and processes that are below what can be.

    Args:
        inside: Everything in a merged configuration, from `walk`.
    """
    for place, value in inside:
        least = _LEAST.get(place.rpartition(SEPARATOR)[2])
        if least is not None and isinstance(value, int | float) and value < least:
            yield Complaint(place, f"expected at least {least}, got {_shown(value)}")


def _kind(value: object) -> str | None:
    """Name the kind; None for what may turn out as anything."""
    if is_component(value) or (isinstance(value, str) and value.startswith(("$", "@", "%"))):
        return None
    return next((name for kind, name in _KINDS if isinstance(value, kind)), None)


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
