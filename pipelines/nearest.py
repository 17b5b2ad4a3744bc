"""A wrong name gets the nearest right one."""

import difflib
from collections.abc import Iterable

_LONGEST = 200
"""Characters of a name that somebody has typed; comparing longer ones takes long."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was most likely meant to be, or None when none is close.

    Examples:
        >>> nearest("max_epoch", ["val_interval", "max_epochs"])
        'max_epochs'
        >>> nearest("device", ["max_epochs"]) is None
        True
    """
    if len(name) > _LONGEST:
        return None
    spelled = {each.casefold(): each for each in reversed(list(known)) if len(each) <= _LONGEST}
    close = difflib.get_close_matches(name.casefold(), spelled, n=1, cutoff=0.6)
    return spelled[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known name, or an empty string.

    Examples:
        >>> did_you_mean("trian", ["train", "predict"])
        "; did you mean 'train'?"
    """
    close = nearest(name, known)
    return f"; did you mean '{close}'?" if close else ""


def right_names(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the nearest known name, then all of them.

    Examples:
        >>> right_names("trian", ["train", "predict"])
        "; did you mean 'train'? Known: train, predict"
        >>> right_names("x", [])
        '; known: none'
    """
    names = list(known)
    close = did_you_mean(name, names)
    return (
        f"{close} Known: {', '.join(names)}" if close else f"; known: {', '.join(names) or 'none'}"
    )
