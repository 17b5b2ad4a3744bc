"""Codes that the dictionaries of the standard have; another code item may say anything."""

from functools import cache, lru_cache

from pydicom.dataset import Dataset
from pydicom.sr.codedict import Collection
from pydicom.sr.coding import Code

_SCHEMES = ("SCT", "DCM")
_NAMED_BY = ("CodeValue", "CodingSchemeDesignator")


def known_code(item: Dataset) -> Dataset | None:
    """Write a code item anew: its value and scheme, and the meaning that the dictionary gives.

    Args:
        item: An item of a sequence of codes.

    Returns:
        A new item; None if the dictionaries do not have the code.
    """
    value, scheme = (str(item.get(name, "")).strip() for name in _NAMED_BY)
    meaning = _meaning(value, scheme)
    if meaning is None:
        return None
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


@lru_cache(maxsize=1000)
def _meaning(value: str, scheme: str) -> str | None:
    # By comparison: a code of an older designator of SNOMED equals the one that it maps to.
    given = Code(value, scheme, "")
    return next((code.meaning for code in _known() if code == given), None)


@cache
def _known() -> tuple[Code, ...]:
    return tuple(code for scheme in _SCHEMES for code in Collection(scheme).concepts.values())
