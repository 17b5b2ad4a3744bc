"""The operating point: the threshold and temperature that ship beside the weights.

It is chosen on validation cases and then stays as it is, whatever split is evaluated later.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.calibration import BIAS_RANGE, fit_calibration, probabilities
from pipelines.evaluation.cases import Cases, Floats, Integers, require_both_classes
from pipelines.evaluation.figures import Figure, classification_figures
from pipelines.evaluation.thresholds import Criterion, choose_threshold
from pipelines.files import write_json
from pipelines.predictions import Classification

_NEEDS_TARGET = ("sensitivity", "specificity", "given")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How calibrated probabilities become decisions.

    Attributes:
        threshold: 0 to 1; class 1 is called if its calibrated probability is at least this.
        temperature: Of the calibration, above 0.
        classes: Names of the two classes; index 1 is the positive class.
        criterion: How the threshold was chosen.
        split: Name of the split it was chosen on, `validation` as a rule.
        target: What `sensitivity`, `specificity` or `given` was asked for; None otherwise.
        bias: Of the calibration.
        figures: What it achieved on that split, by name.
    """

    threshold: float
    temperature: float
    classes: tuple[str, ...]
    criterion: Criterion
    split: str
    target: float | None = None
    bias: float = 0.0
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold each field against its rule.

        Raises:
            ConfigurationError: If a field breaks it.
        """
        rules = {
            "threshold": ("a number 0 to 1", _is_number(self.threshold, 0, 1)),
            "temperature": ("a number above 0", _is_number(self.temperature, 1e-6, 1e6)),
            "bias": ("a number -10 to 10", _is_number(self.bias, *BIAS_RANGE)),
            "classes": ("two different class names", _are_names(self.classes)),
            "criterion": (
                f"one of {', '.join(get_args(Criterion))}",
                self.criterion in get_args(Criterion),
            ),
            "split": ("the name of a split", isinstance(self.split, str) and bool(self.split)),
            "target": (
                "a number 0 to 1 for sensitivity, specificity and given, nothing otherwise",
                _is_number(self.target, 0, 1)
                if self.criterion in _NEEDS_TARGET
                else self.target is None,
            ),
        }
        for name, (rule, kept) in rules.items():
            if not kept:
                raise ConfigurationError(
                    Reason.CONFIGURATION,
                    f"expected {name} to be {rule}, got {getattr(self, name)!r}; "
                    "correct the operating point or choose it anew on validation cases",
                )

    def calibrate(self, logits: npt.NDArray[np.floating]) -> Floats:
        """Turn logits, (n,), into calibrated probabilities, (n, 2)."""
        return probabilities(np.asarray(logits, dtype=np.float64), self.temperature, self.bias)

    def decide(self, calibrated: Floats) -> Integers:
        """Call a class for each case.

        Args:
            calibrated: (n, 2), calibrated probabilities.

        Returns:
            (n,), index of the class.
        """
        return (np.asarray(calibrated)[..., 1] >= self.threshold).astype(np.int64)

    def classify(
        self, filenames: Sequence[str], logits: npt.NDArray[np.floating]
    ) -> tuple[Classification, ...]:
        """Turn the output of the network into records.

        With a threshold other than 0.5, the called class may be the less probable one; then the
        confidence is below 0.5.

        Args:
            filenames: n names.
            logits: (n,), log odds of class 1, as the network gives them.

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

    def save(self, path: Path) -> None:
        """Write the operating point as JSON, whole or not at all."""
        write_json(path, asdict(self))

    @classmethod
    def beside(cls, weights: Path) -> "OperatingPoint":
        """Read the operating point that stands beside a file of weights.

        Threshold and temperature mean nothing for other weights, so the two travel together.
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


def choose_operating_point(
    cases: Cases,
    *,
    criterion: Criterion = "youden",
    target: float | None = None,
    temperature: float | None = None,
    split: str = "validation",
    seed: int = 0,
) -> OperatingPoint:
    """Choose a threshold on calibrated probabilities.

    The threshold lies midway between two neighbouring probabilities, so that no case of the split
    sits on it, and equal cases give equal thresholds.

    Args:
        cases: Validation cases of both classes.
        criterion: How to choose.
        target: For `sensitivity` and `specificity` what to reach, for `given` the threshold.
        temperature: Of the calibration; None fits it, and a bias, on the same cases.
        split: Name of the split the cases are from.
        seed: Of the intervals of the figures.

    Returns:
        The operating point with its figures on these cases.

    Raises:
        ConfigurationError: If criterion, target or temperature are wrong.
        DatasetError: If one class has no case or no threshold reaches the target.
    """
    require_both_classes(cases, "to choose an operating point")
    bias = 0.0
    if temperature is None:
        temperature, bias = fit_calibration(cases)
    # Made first, so that a wrong argument is refused before anything is computed from it.
    point = OperatingPoint(
        threshold=0.5,
        temperature=temperature,
        classes=cases.classes,
        criterion=criterion,
        split=split,
        target=target,
        bias=bias,
    )
    threshold = choose_threshold(
        cases.labels,
        point.calibrate(cases.logits)[:, 1],
        criterion=criterion,
        target=target,
    )
    figures = classification_figures(
        cases, temperature=temperature, bias=bias, threshold=threshold, seed=seed
    )
    return replace(point, threshold=threshold, figures=figures)


def _from_json(name: str, content: object) -> OperatingPoint:
    expected = {each.name for each in fields(OperatingPoint)}
    keys = set(content) if isinstance(content, dict) else set()
    if not isinstance(content, dict) or keys != expected:
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
    named = content["classes"]
    classes = tuple(named) if isinstance(named, list) else named
    return OperatingPoint(**content | {"classes": classes, "figures": figures})


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _are_names(classes: object) -> bool:
    return (
        isinstance(classes, tuple)
        and all(isinstance(name, str) for name in classes)
        and len(classes) == len(set(classes)) == 2  # noqa: PLR2004
    )
