"""What a batch gives back: one record an input, predicted or refused."""

from dataclasses import dataclass
from typing import TypeAlias

from pipelines.errors import Outcome, PlainfilmError, Reason


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer of a classifier for one film.

    Attributes:
        filename: Path relative to the input folder, with `/`; frame n of a multi-frame file has
            `#n` behind it, counted from 1 as DICOM counts.
        predicted_class: Index into the class names.
        predicted_label: Class name.
        confidence: Calibrated probability of the predicted class, 0 to 1.
        probabilities: Calibrated probability of each class by name, in class order; sums to 1.
        out_of_distribution: Whether the film is unlike those that the network was trained on;
            None where the bundle has no guard.
        guard_score: How unlike it is; None where the bundle has no guard.
        region: Whether a region of the film was found and classified alone (`found`), or the whole
            film for want of one (`none_found_classified_whole`); None where none was looked for.
        explanation_agreement: Rank correlation of two explanations, -1 to 1; None without both.
    """

    filename: str
    predicted_class: int
    predicted_label: str
    confidence: float
    probabilities: dict[str, float]
    out_of_distribution: bool | None = None
    guard_score: float | None = None
    region: str | None = None
    explanation_agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One structure that was outlined on a film.

    Attributes:
        name: Class name.
        area_px: Pixels of the film, 0 where it was not found.
        area_mm2: None where the film tells no spacing.
        length_px: Largest extent along its principal axis, in pixels.
        length_mm: None where the film tells no spacing.
        components: Number of connected parts; 1 for a structure in one piece.
        rle: Pixels as `start length …`, row-major, counted from 1; empty where it was not found.
    """

    name: str
    area_px: int
    area_mm2: float | None
    length_px: float
    length_mm: float | None
    components: int
    rle: str


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The outlines on one film.

    Attributes:
        filename: As in `Classification`.
        regions: One a class, in class order, those that were not found among them.
        out_of_distribution: As in `Classification`.
        guard_score: As in `Classification`.
    """

    filename: str
    regions: tuple[Region, ...]
    out_of_distribution: bool | None = None
    guard_score: float | None = None


@dataclass(frozen=True, slots=True)
class AnomalyDetection:
    """How unusual a film is.

    Attributes:
        filename: As in `Classification`.
        anomaly_score: The higher, the more unusual; its scale is that of the bundle's score.
        anomalous: Whether the score reaches the threshold of the operating point.
        out_of_distribution: As in `Classification`.
        guard_score: As in `Classification`.
    """

    filename: str
    anomaly_score: float
    anomalous: bool
    out_of_distribution: bool | None = None
    guard_score: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that got no prediction, and why.

    Attributes:
        filename: As in `Classification`.
        reason: The reason code; it decides whether the input counts as skipped or failed.
        message: One sentence for a person; no patient data.
    """

    filename: str
    reason: Reason
    message: str

    @property
    def outcome(self) -> Outcome:
        """Skipped or failed."""
        return self.reason.outcome

    @classmethod
    def of(cls, filename: str, error: PlainfilmError) -> "Refusal":
        """Make the record of a refusal that was raised as an exception."""
        return cls(filename, error.reason, str(error))


Prediction: TypeAlias = Classification | Segmentation | AnomalyDetection
"""The answer for one film, whatever the bundle's task is."""
