"""The Basic Application Level Confidentiality Profile (PS3.15, annex E) over one data set.

What table E.1-1 says of an attribute comes from the package dicom-anonymizer, in its edition 2026c.
Where the table allows more than one action, the stricter is taken that a CR, DX, MG or Secondary
Capture image can bear. What the table does not name stays only if `kept` lists it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from dicomanonymizer import simpledicomanonymizer as library
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from pipelines.deploy.deidentify import kept
from pipelines.deploy.deidentify.codes import known_code
from pipelines.deploy.deidentify.key import PseudonymKey
from pipelines.deploy.deidentify.values import (
    characteristics,
    checked,
    dummy,
    moved_dates,
    parts_of,
)
from pipelines.radiograph import Identity

TABLE_EDITION = "2026c"
"""Edition of DICOM whose table E.1-1 is used."""

METHOD = (
    "PS3.15 E.1 Basic Application Confidentiality Profile",
    f"plainfilm, dicom-anonymizer; table E.1-1 of {TABLE_EDITION}",
)
"""What DeidentificationMethod says; 64 characters a value at most."""

_MOST_DEPTH = 4
_MOST_ITEMS = 100
_MOST_VALUE_BYTES = 4_000_000
_OVERLAYS_AND_CURVES = {0x50, 0x60}
_PIXEL_GROUP = 0x7FE0


class Action(StrEnum):
    """What becomes of an attribute."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    KEEP = "K"


@dataclass(frozen=True, slots=True)
class Options:
    """What stays beyond the basic profile.

    Attributes:
        modified_dates: Retain Longitudinal Temporal Information With Modified Dates: dates stay,
            each patient's moved back by the same number of days; times do not stay.
        patient_characteristics: Retain Patient Characteristics: sex, and age, of 90 years at most.
    """

    modified_dates: bool = False
    patient_characteristics: bool = False

    def codes(self) -> Iterator[tuple[str, str]]:
        """Yield value and meaning of the codes that record the method (CID 7050)."""
        yield "113100", "Basic Application Confidentiality Profile"
        if self.modified_dates:
            yield (
                "113107",
                "Retain Longitudinal Temporal Information Modified Dates Option",
            )
        if self.patient_characteristics:
            yield "113108", "Retain Patient Characteristics Option"


_BY_LIBRARY = {
    library.delete: Action.REMOVE,
    library.empty: Action.EMPTY,
    library.replace: Action.DUMMY,
    library.replace_UID: Action.UID,
    library.keep: Action.REMOVE,  # none of the basic profile
    library.empty_or_replace: Action.EMPTY,
    library.delete_or_empty: Action.REMOVE,
    library.delete_or_replace: Action.REMOVE,
    library.delete_or_empty_or_replace: Action.REMOVE,
    library.delete_or_empty_or_replace_UID: Action.KEEP,  # references: their items are cleaned
}
"""Of actions with a choice, such as X/Z/D, the one that images of films can bear."""

_OURS = {"AcquisitionContextSequence": Action.EMPTY}
"""Required of DX, though it may be empty: removing it, as X/Z allows, would break the image."""


@cache
def table() -> dict[BaseTag, Action]:
    """Return what table E.1-1 says of each attribute, repeating groups apart."""
    rules = library.initialize_actions(f"dicomfields_{TABLE_EDITION}")
    return {Tag(*tag): _BY_LIBRARY[rule] for tag, rule in rules.items() if len(tag) == 2}  # noqa: PLR2004


def action_for(tag: BaseTag) -> Action:
    """Return what becomes of an attribute by the basic profile and by `kept`.

    Args:
        tag: Of the data set; that of the file meta information is made anew.
    """
    if tag.is_private or tag.group >> 8 in _OVERLAYS_AND_CURVES or tag.group in {2, _PIXEL_GROUP}:
        return Action.REMOVE
    keyword = keyword_for_tag(tag)
    if keyword in _OURS:
        return _OURS[keyword]
    if tag in table():
        return table()[tag]
    return Action.KEEP if keyword in _kept() else Action.REMOVE


@cache
def _kept() -> frozenset[str]:
    lists = (kept.NUMBERS, kept.CLASS_UIDS, kept.SEQUENCES, kept.CODES, kept.TERMS, kept.REWRITTEN)
    return frozenset({"Manufacturer", "PatientOrientation"}.union(*lists))


class Cleaner:
    """Makes data sets without identity.

    Args:
        key: Makes the pseudonyms.
        options: What stays beyond the basic profile.
    """

    def __init__(self, key: PseudonymKey, options: Options) -> None:
        self.key = key
        self.options = options

    def clean(self, source: Dataset, identity: Identity) -> Dataset:
        """Write a data set anew, without its pixels.

        Args:
            source: The data set of a film.
            identity: Whose film it is, as the reader understands it.

        Returns:
            What stays of it, and what records how it was made.
        """
        made = self._items_of(source, depth=0)
        patient = identity.patient_id
        made.PatientID = made.PatientName = self.key.name("patient", patient) if patient else ""
        if self.options.modified_dates:
            days = self.key.days(patient or identity.study_instance_uid)
            made.update(moved_dates(source, days))
        if self.options.patient_characteristics:
            made.update(characteristics(source))
        self._record(made)
        return made

    def _record(self, made: Dataset) -> None:
        made.PatientIdentityRemoved = "YES"
        made.DeidentificationMethod = list(METHOD)
        made.DeidentificationMethodCodeSequence = [
            _code(value, meaning) for value, meaning in self.options.codes()
        ]
        moved = self.options.modified_dates
        made.LongitudinalTemporalInformationModified = "MODIFIED" if moved else "REMOVED"

    def _items_of(self, source: Dataset, *, depth: int) -> Dataset:
        made = Dataset()
        for tag in sorted(source.keys()):
            action = action_for(tag)
            if action is Action.REMOVE:
                continue
            try:
                element = self._element(source, tag, action, depth)
            except Exception:  # noqa: BLE001 - a value that pydicom cannot read does not stay
                continue
            if element is not None:
                made.add(element)
        return made

    def _element(
        self, source: Dataset, tag: BaseTag, action: Action, depth: int
    ) -> DataElement | None:
        if action is Action.EMPTY:
            return DataElement(tag, _representation(tag), None)
        if not _is_sensible(source, tag):
            return None
        element = source[tag]
        if action is Action.UID:
            return DataElement(tag, "UI", [self.key.uid(each) for each in parts_of(element)])
        if element.VR == "SQ":
            return self._sequence(element, depth) if action is Action.KEEP else None
        return dummy(element) if action is Action.DUMMY else checked(element)

    def _sequence(self, element: DataElement, depth: int) -> DataElement | None:
        items = list(element.value)[:_MOST_ITEMS] if depth < _MOST_DEPTH else []
        if element.keyword in kept.CODES:
            cleaned = [known for item in items if (known := known_code(item)) is not None]
        else:
            cleaned = [self._items_of(item, depth=depth + 1) for item in items]
        whole = [item for item in cleaned if len(item)]
        return DataElement(element.tag, "SQ", Sequence(whole)) if whole else None


def _is_sensible(source: Dataset, tag: BaseTag) -> bool:
    """Whether a value has a usual length, and the representation that the standard gives it."""
    raw = source.get_item(tag)
    value = None if raw is None else raw.value
    if isinstance(value, bytes) and len(value) > _MOST_VALUE_BYTES:
        return False
    return source[tag].VR in dictionary_VR(tag)


def _representation(tag: BaseTag) -> str:
    return dictionary_VR(tag).partition(" or ")[0]


def _code(value: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "DCM", meaning
    return made
