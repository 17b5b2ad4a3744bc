"""Whether two networks are the same: everything about them that weights do not say."""

import hashlib
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import torch

_PLAIN = (str, bytes, int, float, bool, complex, type(None))
_OF_TRAINING = frozenset({"training"})


def definition(network: object) -> str:
    """Return a hash of what a network, or an inferer, is made of: classes and their settings.

    Values of parameters and buffers do not count, since the hash of the weights stands for them.

    Args:
        network: A module, or any object that is made of plain values and other objects.

    Returns:
        64 hexadecimal digits, the same in every process.
    """
    digest = hashlib.sha256()
    for word in _words(network, ()):
        digest.update(word.encode() + b"\0")
    return digest.hexdigest()


def _words(value: Any, above: tuple[int, ...]) -> list[str]:
    simple = _simple(value)
    if simple is not None:
        return [simple]
    if id(value) in above:
        return ["above"]
    within = (*above, id(value))
    words = [_name(type(value))]
    for key, part in _parts(value):
        words += [key, *_words(part, within)]
    return words


def _simple(value: Any) -> str | None:
    """Say in one word what has no parts."""
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)} {value.dtype}"
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if callable(value) and hasattr(value, "__qualname__"):
        return _name(value)
    has_parts = isinstance(value, Mapping | Sequence | set | frozenset) or hasattr(
        value, "__dict__"
    )
    return repr(value) if isinstance(value, _PLAIN) or not has_parts else None


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, set | frozenset):
        return [("", part) for part in sorted(value, key=repr)]
    if isinstance(value, Sequence):
        return [("", part) for part in value]
    # Hooks and the like come and go.
    held = vars(value).items()
    counted = ((k, part) for k, part in held if k not in _OF_TRAINING and "hook" not in k)
    return sorted(counted, key=itemgetter(0))
