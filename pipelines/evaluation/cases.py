"""What an evaluation is computed from: labelled cases and what the network said about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipelines.errors import DatasetError, Reason, RunError

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Labelled cases of one split with the raw output of a network, one row a film.

    Two classes and one logit a case are what is evaluated today; a network with a logit for each
    class will have `logits` of shape (n, classes).

    Attributes:
        filenames: Path of each film relative to its data set, with `/`; unique.
        groups: Patient of each film; films of one patient are resampled together. They identify
            people, so they stay out of every table and out of `repr`.
        labels: int64, (n,), index of the true class.
        logits: float64, (n,), log odds of class 1 before calibration.
        classes: Names of the two classes; index 1 is the positive class.
    """

    filenames: tuple[str, ...]
    groups: tuple[str, ...] = field(repr=False)
    labels: Integers
    logits: Floats
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Hold the arrays against each other.

        Raises:
            DatasetError: If there is no case, lengths differ, a name stands twice, the classes
                are not two different names, or a label is no index into them.
            RunError: If a logit is not finite.
        """
        _check_classes(self.classes)
        _check_lengths(self)
        outside = [int(label) for label in self.labels if not 0 <= label < len(self.classes)]
        if outside:
            raise DatasetError(
                Reason.DATASET_LAYOUT,
                f"expected labels 0 to {len(self.classes) - 1}, got {outside[0]}; "
                "check the order of the class names",
            )
        wrong = int(np.count_nonzero(~np.isfinite(self.logits)))
        if wrong:
            raise RunError(
                Reason.NOT_FINITE,
                f"expected finite logits, got {wrong} of {len(self)} that are not; "
                "the weights or the inputs are broken",
            )

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.filenames)

    @classmethod
    def of(
        cls,
        filenames: Sequence[str],
        groups: Sequence[str],
        *,
        labels: Sequence[int] | npt.NDArray[np.integer],
        logits: Sequence[float] | npt.NDArray[np.floating],
        classes: Sequence[str],
    ) -> "Cases":
        """Make cases from whatever sequences a loop has gathered.

        Args:
            filenames: As the attribute.
            groups: As the attribute.
            labels: n class indices.
            logits: n logits.
            classes: As the attribute.

        Returns:
            The cases, with arrays of the right type.
        """
        return cls(
            filenames=tuple(filenames),
            groups=tuple(groups),
            labels=np.asarray(labels, dtype=np.int64),
            logits=np.asarray(logits, dtype=np.float64),
            classes=tuple(classes),
        )


def require_both_classes(cases: Cases, purpose: str) -> None:
    """Refuse cases of one class where both are needed.

    Args:
        cases: The cases.
        purpose: What they are needed for, as the end of a sentence.

    Raises:
        DatasetError: If one class has no case.
    """
    counts = np.bincount(cases.labels, minlength=len(cases.classes))
    if counts.min() == 0:
        held = ", ".join(f"{n} {name}" for name, n in zip(cases.classes, counts, strict=True))
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected cases of both classes {purpose}, got {held}; "
            "use a split that holds cases of each class",
        )


def _check_classes(classes: tuple[str, ...]) -> None:
    if len(classes) != 2 or len(set(classes)) != 2:  # noqa: PLR2004
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected two different class names, got {list(classes)}; name each class once",
        )


def _check_lengths(cases: Cases) -> None:
    n = len(cases.filenames)
    shapes = (len(cases.groups), cases.labels.shape, cases.logits.shape)
    if n == 0 or shapes != (n, (n,), (n,)):
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            "expected at least one case, with one group, label and logit each, got "
            f"{n} file names, {shapes[0]} groups, labels {shapes[1]}, logits {shapes[2]}; "
            "gather them in one loop",
        )
    repeated = n - len(set(cases.filenames))
    if repeated:
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected each file name once, got {repeated} repeated of {n}; "
            "remove repeated entries from the datalist",
        )
