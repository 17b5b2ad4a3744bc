"""What a batch gives back: one record an input, predicted or refused."""

from dataclasses import dataclass

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
    """

    filename: str
    predicted_class: int
    predicted_label: str
    confidence: float
    probabilities: dict[str, float]


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
