"""The rules that the fields of an operating point keep, and what it asks of films."""

from collections.abc import Sequence
from typing import TypeAlias

from pipelines.errors import ConfigurationError, Reason

InputSize: TypeAlias = tuple[int, int, int]
"""Channels, height and width of what a network takes."""


def is_number(value: object, low: float, high: float) -> bool:
    """Say whether this is a number from `low` to `high`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def are_names(names: object, at_least: int) -> bool:
    """Say whether these are so many names, all different."""
    return (
        isinstance(names, tuple)
        and all(isinstance(name, str) for name in names)
        and len(names) == len(set(names)) >= at_least
    )


def is_input_size(value: object) -> bool:
    """Say whether this is an `InputSize`, each number above 0."""
    return (
        isinstance(value, tuple)
        and len(value) == len(("channels", "height", "width"))
        and all(type(number) is int and number > 0 for number in value)
    )


def require_input_size(trained: InputSize | None, prepared: Sequence[int]) -> None:
    """Refuse films of another size than the one that weights were trained at.

    Args:
        trained: What the operating point says; None, of older weights, refuses nothing.
        prepared: Channels, height and width of a prepared film.

    Raises:
        ConfigurationError: If the two differ.
    """
    if trained is None or trained == tuple(prepared):
        return
    raise ConfigurationError(
        Reason.WEIGHTS_MISMATCH,
        f"expected films of {_in_words(trained)}, at which these weights were trained, got "
        f"{_in_words(prepared)}; set image_size={trained[1]}",
    )


def _in_words(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]} x {size[2]} (channels, height, width)"
