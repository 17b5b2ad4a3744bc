"""What an evaluation is computed from: labelled cases and what the network said about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pipelines.errors import DatasetError, Reason, RunError

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

TWO_CLASSES = 2
"""Two classes have one logit, a threshold and a bias; more have a logit each."""


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Labelled cases of one split with the raw output of a network, one row a film.

    Attributes:
        filenames: Path of each film relative to its data set, with `/`; unique.
        groups: Patient of each film; films of one patient are resampled together. They identify
            people, so they stay out of every table and out of `repr`.
        labels: int64, (n,), index of the true class.
        logits: float64, before calibration: (n,), log odds of class 1 of two classes, or
            (n, classes), one logit for each of three classes or more.
        classes: Names of the classes; of two, index 1 is the positive one.
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
                are not two different names or more, or a label is no index into them.
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

    def take(self, places: Integers) -> "Cases":
        """Return some of the cases.

        Args:
            places: Which, at least one.
        """
        return replace(
            self,
            filenames=tuple(self.filenames[place] for place in places),
            groups=tuple(self.groups[place] for place in places),
            labels=self.labels[places],
            logits=self.logits[places],
        )

    @classmethod
    def of(
        cls,
        filenames: Sequence[str],
        groups: Sequence[str],
        *,
        labels: Sequence[int] | npt.NDArray[np.integer],
        logits: npt.ArrayLike,
        classes: Sequence[str],
    ) -> "Cases":
        """Make cases from whatever sequences a loop has gathered.

        Args:
            filenames: As the attribute.
            groups: As the attribute.
            labels: n class indices.
            logits: What a network gives, as `logits_of_classes` takes it.
            classes: As the attribute.

        Returns:
            The cases, with arrays of the right type.
        """
        return cls(
            filenames=tuple(filenames),
            groups=tuple(groups),
            labels=np.asarray(labels, dtype=np.int64),
            logits=logits_of_classes(logits, len(classes)),
            classes=tuple(classes),
        )


def logits_of_classes(outputs: npt.ArrayLike, classes: int) -> Floats:
    """Bring the outputs of a network into the form that its classes ask for.

    Two classes have one number, the log odds of class 1, whether the network gives that or a logit
    for each: the softmax over two logits is the sigmoid of their difference.

    Args:
        outputs: (n,) or (n, 1), log odds of class 1 of two classes; (n, classes), one logit each.
        classes: Number of classes, at least 2.

    Returns:
        float64, (n,) for two classes, (n, classes) for more.

    Raises:
        RunError: If the number of outputs belongs to another number of classes.
    """
    logits = np.asarray(outputs, dtype=np.float64)
    given = logits.shape[1] if logits.ndim == 2 else 1  # noqa: PLR2004 - rows and columns
    require_outputs(given, classes)
    if classes > TWO_CLASSES:
        return logits
    return logits[:, 1] - logits[:, 0] if given > 1 else logits.reshape(-1)


def require_outputs(outputs: int, classes: int) -> None:
    """Refuse a network whose number of outputs belongs to another number of classes.

    Args:
        outputs: Number of outputs a film.
        classes: Number of classes.

    Raises:
        RunError: If they do not go together.
    """
    fitting = (1, 2) if classes == TWO_CLASSES else (classes,)
    if outputs not in fitting:
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected a network with {' or '.join(map(str, fitting))} outputs for {classes} "
            f"classes, got {outputs}; name the classes that the network was made for, or set its "
            "number of outputs",
        )


def require_every_class(cases: Cases, purpose: str) -> None:
    """Refuse cases that lack a class where each is needed.

    Args:
        cases: The cases.
        purpose: What they are needed for, as the end of a sentence.

    Raises:
        DatasetError: If a class has no case.
    """
    counts = np.bincount(cases.labels, minlength=len(cases.classes))
    if counts.min() == 0:
        held = ", ".join(f"{n} {name}" for name, n in zip(cases.classes, counts, strict=True))
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected cases of every class {purpose}, got {held}; "
            "use a split that holds cases of each class",
        )


def _check_classes(classes: tuple[str, ...]) -> None:
    if len(classes) < TWO_CLASSES or len(set(classes)) != len(classes):
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected at least two different class names, got {list(classes)}; "
            "name each class once",
        )


def _check_lengths(cases: Cases) -> None:
    n = len(cases.filenames)
    shapes = (len(cases.groups), cases.labels.shape, cases.logits.shape)
    wanted = (n,) if len(cases.classes) == TWO_CLASSES else (n, len(cases.classes))
    if n == 0 or shapes != (n, (n,), wanted):
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            "expected at least one case, with one group, one label and its logits each, got "
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
