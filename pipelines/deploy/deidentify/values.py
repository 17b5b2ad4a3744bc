"""Values that stay in a header: each held against the form that its attribute asks for."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

from dicomanonymizer import simpledicomanonymizer as library
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from pipelines.deploy.deidentify import kept

_LONGEST_DECIMAL = 16
_OLDEST_AGE = 90
_AGE = re.compile(r"([0-9]{3})([DWMY])")
_UNITS_A_YEAR = {"D": 365, "W": 52, "M": 12, "Y": 1}


def text_of(source: Dataset, keyword: str) -> str:
    """Return a value as text without padding; empty where there is none.

    Args:
        source: A data set or item.
        keyword: Of the attribute.
    """
    return str(source.get(keyword) or "").strip(" \0")


def parts_of(element: DataElement) -> list[str]:
    """Return the values of an element, as text."""
    value = element.value
    if value is None:
        return []
    several = isinstance(value, list | tuple) or hasattr(value, "append")
    return [str(each) for each in value] if several else [str(value)]


def dummy(element: DataElement) -> DataElement | None:
    """Return an element with the library's dummy value; None where it has none."""
    held = Dataset()
    held.add(DataElement(element.tag, element.VR, element.value))
    try:
        library.replace(held, element.tag)
    except (NotImplementedError, TypeError, ValueError):
        return None
    return None if element.VR == "SQ" else held.get(element.tag)


def checked(element: DataElement) -> DataElement | None:
    """Return an element if its value has the form that its keyword asks for, otherwise None.

    Args:
        element: What `kept` lists.
    """
    keyword = element.keyword
    if keyword in kept.REWRITTEN:
        return DataElement(element.tag, element.VR, kept.REWRITTEN[keyword])
    if keyword in kept.NUMBERS:
        return _checked_numbers(element)
    check = _CHECKS.get(keyword, partial(_checked_term, keyword))
    given = [each.strip(" \0") for each in parts_of(element)]
    parts = [part for part in map(check, given) if part is not None]
    if len(parts) < len(given):
        return DataElement(element.tag, element.VR, None) if keyword in _REQUIRED else None
    return DataElement(element.tag, element.VR, parts if len(parts) > 1 else "".join(parts))


def _checked_numbers(element: DataElement) -> DataElement | None:
    if element.VR not in {"DS", "IS"}:
        return DataElement(element.tag, element.VR, element.value)
    parts = parts_of(element)
    right = all(len(each) <= _LONGEST_DECIMAL and kept.DECIMAL.fullmatch(each) for each in parts)
    return DataElement(element.tag, element.VR, parts) if right else None


def _checked_term(keyword: str, term: str) -> str | None:
    if not term or term in kept.TERMS.get(keyword, ()):
        return term
    return kept.LEFT_OUT.get(keyword)


def _checked_class(uid: str) -> str | None:
    return uid if UID(uid).name != uid else None


def _checked_orientation(value: str) -> str | None:
    return value if not value or kept.ORIENTATION.fullmatch(value) else None


def _checked_maker(name: str) -> str | None:
    found = kept.MAKER.match(name)
    return found[1] if found else None


_CHECKS: dict[str, Callable[[str], str | None]] = {
    **dict.fromkeys(kept.CLASS_UIDS, _checked_class),
    "PatientOrientation": _checked_orientation,
    "Manufacturer": _checked_maker,
}
_REQUIRED = frozenset({"Manufacturer", "BodyPartExamined", "ViewPosition", "PatientOrientation"})
"""What stays with an empty value where its own is none of those known (type 2)."""


def moved_dates(source: Dataset, days: int) -> Dataset:
    """Return the dates that may stay, earlier than they were.

    Args:
        source: The data set.
        days: By how many days.
    """
    made = Dataset()
    for keyword in sorted(kept.MOVED_DATES):
        moved = _moved(text_of(source, keyword), days)
        if moved:
            setattr(made, keyword, moved)
    return made


def _moved(written: str, days: int) -> str | None:
    digits = written.replace(".", "")
    try:
        return f"{date.fromisoformat(digits) - timedelta(days):%Y%m%d}"
    except (ValueError, OverflowError):
        return None


def characteristics(source: Dataset) -> Dataset:
    """Return sex and age as they may stay; an age above 90 years becomes 90.

    Args:
        source: The data set.
    """
    made = Dataset()
    sex, age = text_of(source, "PatientSex"), text_of(source, "PatientAge")
    if sex in {"F", "M", "O"}:
        made.PatientSex = sex
    found = _AGE.fullmatch(age)
    if found:
        old = int(found[1]) > _OLDEST_AGE * _UNITS_A_YEAR[found[2]]
        made.PatientAge = f"{_OLDEST_AGE:03d}Y" if old else age
    return made
