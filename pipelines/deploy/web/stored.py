"""The answer of STOW-RS (PS3.18, 10.5.3): a data set that says what became of each object."""

from dataclasses import dataclass, field
from enum import IntEnum
from http import HTTPStatus
from typing import Any


class Failure(IntEnum):
    """Failure Reason (0008,1197): status codes of the Storage Service (PS3.4, B.2.3; PS3.7, C)."""

    PROCESSING = 0x0110
    DUPLICATE_INSTANCE = 0x0111
    INVALID_INSTANCE = 0x0117
    CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    OTHER_DATA_SET = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True, repr=False)
class Uids:
    """Which object it is; both keep the rules of DICOM.

    Attributes:
        sop_class: SOP class UID.
        sop_instance: SOP Instance UID.
    """

    sop_class: str
    sop_instance: str


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of one object.

    Attributes:
        uids: Which one; None where that cannot be told.
        failure: Why it is not stored; None if it is.
    """

    uids: Uids | None
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the objects of a request.

    Attributes:
        brought: In the order in which they came.
    """

    brought: list[Brought] = field(default_factory=list)

    @property
    def status(self) -> HTTPStatus:
        """200 if all are stored, 202 if some, 409 if none, 503 if there was no room for any."""
        failures = [each.failure for each in self.brought if each.failure is not None]
        if not failures:
            return HTTPStatus.OK
        if len(failures) < len(self.brought):
            return HTTPStatus.ACCEPTED
        if set(failures) == {Failure.OUT_OF_RESOURCES}:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.CONFLICT

    def dataset(self) -> dict[str, object]:
        """Return the data set in the DICOM JSON model (PS3.18, F)."""
        sequences: dict[str, list[dict[str, Any]]] = {}
        for each in self.brought:
            item = {} if each.uids is None else _reference(each.uids)
            if each.failure is None:
                item["00081190"] = {"vr": "UR"}  # a node gives nothing back, so it has no address
                place = "00081199"  # Referenced SOP Sequence
            else:
                item["00081197"] = {"vr": "US", "Value": [int(each.failure)]}
                place = "0008119A" if each.uids is None else "00081198"  # (Other) Failures
            sequences.setdefault(place, []).append(item)
        said: dict[str, object] = {"00081190": {"vr": "UR"}}
        return said | {
            tag: {"vr": "SQ", "Value": items} for tag, items in sorted(sequences.items())
        }


def _reference(uids: Uids) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [uids.sop_class]},
        "00081155": {"vr": "UI", "Value": [uids.sop_instance]},
    }
