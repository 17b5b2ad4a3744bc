"""Which DICOM objects there are, and what was written of a film; no DICOM library is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names


class Kind(StrEnum):
    """A kind of DICOM object; the value begins its file name and stands in `objects.csv`."""

    SR = "sr"
    SEG = "seg"
    SC = "sc"
    GSPS = "gsps"
    FILM = "film"
    """The film itself, where it was no DICOM file; it is never asked for."""

    @property
    def series_number(self) -> int:
        """Number of its series within the study: far above what a device numbers."""
        return 9001 + list(Kind).index(self)

    @property
    def series_description(self) -> str:
        """What a viewer shows beside the series."""
        return {
            Kind.SR: "Measurements by an algorithm",
            Kind.SEG: "Segmentation by an algorithm",
            Kind.SC: "Overlay by an algorithm",
            Kind.GSPS: "Annotations by an algorithm",
            Kind.FILM: "Film as it was given",
        }[self]


_ASKED = (Kind.SEG, Kind.SR, Kind.SC, Kind.GSPS)
"""In the order in which they are made: a report may refer to a segmentation."""


class SegLayers(StrEnum):
    """How structures that overlap are put into segmentations."""

    ONE = "one"
    SEPARATE = "separate"


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """One DICOM object on disk.

    Attributes:
        kind: What it is.
        file: Name of the file below `dicom/`.
        sop_class_uid: Of the object.
        sop_instance_uid: Of the object.
    """

    kind: Kind
    file: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class MissingObject:
    """A kind of object that was asked for and could not be made of a film.

    Attributes:
        kind: What it would have been.
        reason: Why there is none.
        message: One sentence for a person; no patient data.
    """

    kind: Kind
    reason: Reason
    message: str


def kinds_of(names: str | Sequence[str], *, possible: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Read a list of kinds as a configuration has it.

    Args:
        names: Such as `sr,sc`, or a list of them; empty for none.
        possible: What the bundle has content for.

    Returns:
        The kinds in the order in which they are made.

    Raises:
        ConfigurationError: If a kind does not exist, or the bundle has no content for it.

    Examples:
        >>> kinds_of("sr, seg", possible=tuple(Kind))
        (<Kind.SEG: 'seg'>, <Kind.SR: 'sr'>)
    """
    listed = names.split(",") if isinstance(names, str) else names
    asked = [name for name in map(str.strip, map(str, listed)) if name]
    for name in asked:
        if name not in _ASKED:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"expected kinds of DICOM objects, got {name!r}{right_names(name, _ASKED)}",
            )
        if name not in possible:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected kinds of DICOM objects that this bundle has content for, got {name!r}; "
                f"it has {', '.join(possible)}",
            )
    return tuple(kind for kind in _ASKED if kind in asked)


def seg_layers_of(name: str) -> SegLayers:
    """Return how overlapping structures are put into segmentations.

    Args:
        name: `one` or `separate`.

    Raises:
        ConfigurationError: If there is no such way.
    """
    if name not in tuple(SegLayers):
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected dicom_seg_layers to be a known way, got {name!r}"
            f"{right_names(name, tuple(SegLayers))}",
        )
    return SegLayers(name)
