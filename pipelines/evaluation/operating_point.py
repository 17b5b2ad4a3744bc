"""The operating point: what calibrates and decides, shipped beside the weights.

It is chosen on validation cases and then stays as it is, whatever split is evaluated later.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.calibration import BIAS_RANGE, probabilities
from pipelines.evaluation.cases import (
    TWO_CLASSES,
    Cases,
    Floats,
    Integers,
    logits_of_classes,
)
from pipelines.evaluation.figures import Figure, classification_figures
from pipelines.evaluation.point_rules import InputSize, are_names, is_input_size, is_number
from pipelines.evaluation.questions import POSITIVE, Question, ask
from pipelines.evaluation.thresholds import Criterion, decide
from pipelines.files import write_json
from pipelines.predictions import Classification

_NEEDS_TARGET = ("sensitivity", "specificity", "given")
_LATER = {"input_size", "shifts"}
"""Keys that operating points of older weights lack."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How calibrated probabilities become decisions.

    Attributes:
        threshold: 0 to 1; one of the positive classes is called if their calibrated probabilities
            together are at least this. None, with criterion `argmax`, calls the most probable
            class.
        temperature: Of the calibration, above 0.
        classes: Names of the classes in order.
        criterion: How the threshold was chosen.
        split: Name of the split it was chosen on, `validation` as a rule.
        target: What `sensitivity`, `specificity` or `given` was asked for; None otherwise.
        bias: Of the calibration of two classes; 0 for more.
        positive_classes: Names of the classes that are judged together, such as the malignant
            ones. Of two classes it is the second; of more it may be some or none.
        figures: What it achieved on that split, by name.
        input_size: Channels, height and width of the films that the network was trained with;
            None where older weights do not say.
        shifts: Names of the settings whose shifted copies of the films it was chosen on as well.
    """

    threshold: float | None
    temperature: float
    classes: tuple[str, ...]
    criterion: Criterion
    split: str
    target: float | None = None
    bias: float = 0.0
    positive_classes: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    input_size: InputSize | None = None
    shifts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Hold each field against its rule.

        Raises:
            ConfigurationError: If a field breaks it.
        """
        if self._is_binary and not self.positive_classes:
            object.__setattr__(self, "positive_classes", self.classes[1:])
        rules: Mapping[str, tuple[str, Callable[[], bool]]] = {
            "classes": (
                "at least two different class names",
                lambda: are_names(self.classes, TWO_CLASSES),
            ),
            "criterion": (
                f"one of {', '.join(get_args(Criterion))}",
                lambda: self.criterion in get_args(Criterion),
            ),
            "positive_classes": (
                "the second of two classes, or some of more; none only with criterion argmax",
                self._has_positive_classes,
            ),
            "threshold": ("nothing for argmax, otherwise a number 0 to 1", self._has_threshold),
            "temperature": (
                "a number above 0",
                lambda: is_number(self.temperature, 1e-6, 1e6),
            ),
            "bias": (
                "a number -10 to 10, and 0 for three classes or more",
                lambda: is_number(self.bias, *BIAS_RANGE) and (self._is_binary or self.bias == 0),
            ),
            "split": (
                "the name of a split",
                lambda: isinstance(self.split, str) and bool(self.split),
            ),
            "target": (
                "a number 0 to 1 for sensitivity, specificity and given, nothing otherwise",
                self._has_target,
            ),
            "input_size": (
                "channels, height and width above 0, or nothing",
                lambda: self.input_size is None or is_input_size(self.input_size),
            ),
            "shifts": ("different names", lambda: are_names(self.shifts, at_least=0)),
        }
        for name, (rule, kept) in rules.items():
            if not kept():
                raise ConfigurationError(
                    Reason.CONFIGURATION,
                    f"expected {name} to be {rule}, got {getattr(self, name)!r}; "
                    "correct the operating point or choose it anew on validation cases",
                )

    @property
    def _is_binary(self) -> bool:
        return are_names(self.classes, TWO_CLASSES) and len(self.classes) == TWO_CLASSES

    def _has_positive_classes(self) -> bool:
        given = self.positive_classes
        if self._is_binary:
            return given == self.classes[1:]
        if given == ():
            return self.criterion == "argmax"
        # A class of that name would take the names of the figures of all of them together.
        return (
            are_names(given, at_least=1)
            and set(given) < set(self.classes)
            and POSITIVE not in self.classes
        )

    def _has_threshold(self) -> bool:
        if self.criterion == "argmax":
            return self.threshold is None
        return is_number(self.threshold, 0, 1)

    def _has_target(self) -> bool:
        if self.criterion in _NEEDS_TARGET:
            return is_number(self.target, 0, 1)
        return self.target is None

    @property
    def positive(self) -> tuple[int, ...]:
        """Indices of the positive classes."""
        return tuple(map(self.classes.index, self.positive_classes))

    def calibrate(self, logits: npt.NDArray[np.floating]) -> Floats:
        """Turn the outputs of a network into calibrated probabilities, (n, classes).

        Args:
            logits: As `logits_of_classes` takes them.
        """
        brought = logits_of_classes(logits, len(self.classes))
        return probabilities(brought, self.temperature, self.bias)

    def decide(self, calibrated: Floats) -> Integers:
        """Call a class for each case.

        Args:
            calibrated: (n, classes), calibrated probabilities.

        Returns:
            (n,), index of the class.
        """
        return decide(calibrated, threshold=self.threshold, positive=self.positive)

    def classify(
        self, filenames: Sequence[str], logits: npt.NDArray[np.floating]
    ) -> tuple[Classification, ...]:
        """Turn the output of the network into records.

        With a threshold, the called class may be a less probable one; of two classes its
        confidence is then below 0.5.

        Args:
            filenames: n names.
            logits: What the network gives, as `logits_of_classes` takes it.

        Returns:
            One record a film, in the same order.
        """
        calibrated = self.calibrate(logits)
        return tuple(
            Classification(
                filename=filename,
                predicted_class=int(index),
                predicted_label=self.classes[index],
                confidence=float(row[index]),
                probabilities=dict(zip(self.classes, map(float, row), strict=True)),
            )
            for filename, row, index in zip(
                filenames, calibrated, self.decide(calibrated), strict=True
            )
        )

    def figures_of(
        self, cases: Cases, *, resamples: int = 2000, seed: int = 0
    ) -> dict[str, Figure]:
        """Compute the figures of cases of these classes, see `classification_figures`."""
        return classification_figures(cases, resamples=resamples, seed=seed, **self._decision)

    def questions_of(self, cases: Cases) -> list[Question]:
        """Ask for the classes of cases of these classes, see `ask`."""
        return ask(cases, **self._decision)

    @property
    def _decision(self) -> dict[str, Any]:
        names = ("temperature", "bias", "threshold", "positive_classes")
        return {name: getattr(self, name) for name in names}

    def save(self, path: Path) -> None:
        """Write the operating point as JSON, whole or not at all."""
        write_json(path, asdict(self))

    @classmethod
    def beside(cls, weights: Path) -> "OperatingPoint":
        """Read the operating point that stands beside a file of weights.

        Threshold and calibration mean nothing for other weights, so the two travel together.
        """
        return cls.load(weights.parent / "operating_point.json")

    @classmethod
    def load(cls, path: Path) -> "OperatingPoint":
        """Read what `save` has written.

        Args:
            path: A file such as `models/operating_point.json`.

        Returns:
            The operating point.

        Raises:
            ConfigurationError: If there is no such file or its content breaks a rule.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigurationError(
                Reason.WEIGHTS_MISSING,
                f"expected {path.name} beside the weights, got no such file; "
                "train or download the bundle's weights",
            ) from error
        except ValueError as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected JSON in {path.name}, got a file that does not parse ({error}); "
                "choose the operating point anew on validation cases",
            ) from error
        return _from_json(path.name, content)


def classes_of(weights: str | Path) -> list[str]:
    """Return the class names that belong to weights, for `classes` in a configuration.

    Args:
        weights: A file of weights with `operating_point.json` beside it.
    """
    return list(OperatingPoint.beside(Path(weights)).classes)


def positive_classes_of(weights: str | Path) -> list[str]:
    """Return the classes that weights judge together, for `positive_classes` in a configuration.

    Args:
        weights: As for `classes_of`.
    """
    return list(OperatingPoint.beside(Path(weights)).positive_classes)


def _from_json(name: str, content: object) -> OperatingPoint:
    expected = {each.name for each in fields(OperatingPoint)}
    keys = set(content) if isinstance(content, dict) else set()
    if not isinstance(content, dict) or keys | _LATER != expected:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the keys {', '.join(sorted(expected))} in {name}, "
            f"got {', '.join(sorted(keys)) or 'none'}; "
            "choose the operating point anew on validation cases",
        )
    try:
        figures = {title: Figure(**figure) for title, figure in content["figures"].items()}
    except (AttributeError, TypeError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected figures with value, low and high in {name}, "
            f"got {error}; choose the operating point anew on validation cases",
        ) from error
    sequences = {
        key: tuple(content[key]) if isinstance(content[key], list) else content[key]
        for key in keys & {"classes", "positive_classes", "input_size", "shifts"}
    }
    return OperatingPoint(**content | sequences | {"figures": figures})
