"""How scores of films become flags: chosen on validation films, shipped beside the weights."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias
from zipfile import BadZipFile

import numpy as np

from pipelines.datasets.anomaly import CLASSES
from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.anomaly_scores import AnomalyScore, Profile
from pipelines.evaluation.figures import Figure
from pipelines.files import whole_file, write_json

Criterion: TypeAlias = Literal[
    "youden", "max_f1", "sensitivity", "specificity", "balanced", "false_alarms"
]
"""How a threshold is chosen: as for classifiers (see `thresholds`), which takes validation films of
both kinds; `false_alarms` needs normal ones alone and lets the target share of them be flagged."""

POINT_NAME = "operating_point.json"
PROFILE_NAME = "profile.npz"

_TASK = "anomaly_detection"

# Weights from before these were kept were trained with their defaults.
_OPTIONAL = {"clahe", "clip_limit"}

NEEDS_TARGET = ("sensitivity", "specificity", "false_alarms")


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyPoint:
    """What decides about a film.

    Attributes:
        score: Which score is given and decided on.
        threshold: A film is anomalous if its score is at least this.
        out_of_distribution: A film does not belong if its score is above this: the 99th percentile
            of the normal validation films.
        image_size: Side in pixels of the square at which films were scored.
        error_scale: Absolute error at which heat maps are brightest: the 99.9th percentile over
            pixels of normal validation films.
        criterion: How the threshold was chosen.
        target: What the criterion was asked for; None otherwise.
        split: Name of the split that all of it was chosen on.
        chosen_from: AUROC of every score on that split; empty without labels.
        figures: What the score achieved on that split, by name.
        clahe: Whether films were equalised by CLAHE.
        clip_limit: Of CLAHE, above 0.
        profile: Of the normal training films; it stands in a file of its own.
    """

    score: AnomalyScore
    threshold: float
    out_of_distribution: float
    image_size: int
    error_scale: float
    criterion: Criterion
    split: str
    profile: Profile = field(repr=False)
    target: float | None = None
    chosen_from: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    clahe: bool = False
    clip_limit: float = 2.0

    def __post_init__(self) -> None:
        """Hold each field against its rule.

        Raises:
            ConfigurationError: If a field breaks it.
        """
        check_target(self.criterion, self.target)
        numbers = (self.threshold, self.out_of_distribution, self.error_scale, self.image_size)
        if not all(_is_positive(number) for number in numbers):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected threshold, out_of_distribution, error_scale and image_size above 0, got "
                f"{numbers}; choose the operating point anew on validation films",
            )
        if not (isinstance(self.clahe, bool) and _is_positive(self.clip_limit)):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected clahe true or false and clip_limit above 0, got "
                f"{self.clahe!r} and {self.clip_limit!r}; train anew",
            )

    def require_input(self, *, image_size: int, clahe: bool, clip_limit: float) -> None:
        """Refuse films that are prepared in another way than those that the network learned from.

        Args:
            image_size: Side in pixels of the square.
            clahe: Whether they are equalised by CLAHE.
            clip_limit: Of CLAHE; without it any goes.

        Raises:
            ConfigurationError: If one of them differs.
        """
        trained: dict[str, float] = {"image_size": self.image_size, "clahe": self.clahe}
        given: dict[str, float] = {"image_size": image_size, "clahe": clahe}
        if self.clahe:
            trained["clip_limit"], given["clip_limit"] = self.clip_limit, clip_limit
        for name, value in trained.items():
            if given[name] != value:
                raise ConfigurationError(
                    Reason.WEIGHTS_MISMATCH,
                    f"expected {name} {json.dumps(value)}, with which these weights were trained, "
                    f"got {json.dumps(given[name])}; set {name}={json.dumps(value)}",
                )

    def save(self, folder: Path) -> None:
        """Write `operating_point.json` and `profile.npz`, each whole or not at all."""
        with whole_file(folder / PROFILE_NAME) as temporary:
            np.savez_compressed(
                temporary,
                mean=self.profile.mean,
                whitening=self.profile.whitening,
                scale=self.profile.scale,
            )
        content = {name: value for name, value in _plain(self).items() if name != "profile"}
        write_json(folder / POINT_NAME, {"task": _TASK, "classes": list(CLASSES), **content})

    @classmethod
    def beside(cls, weights: Path) -> Self:
        """Read the operating point that stands beside a file of weights.

        Raises:
            ConfigurationError: If a file is missing, cannot be read or breaks a rule.
        """
        content = _read_json(weights.parent / POINT_NAME)
        expected = {each.name for each in fields(cls)} - {"profile"}
        content.pop("classes", None)
        if content.pop("task", None) != _TASK or set(content) | _OPTIONAL != expected:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected the task {_TASK} and {', '.join(sorted(expected))} in {POINT_NAME}, got "
                f"{', '.join(sorted(content)) or 'none'}; train anew, or take the file that "
                "belongs to these weights",
            )
        try:
            content["score"] = AnomalyScore(content["score"])
            content["figures"] = {n: Figure(**f) for n, f in content["figures"].items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a score of {', '.join(AnomalyScore)} and figures with value, low and "
                f"high in {POINT_NAME}, got {error}; train anew",
            ) from error
        return cls(profile=_read_profile(weights.parent / PROFILE_NAME), **content)


def check_target(criterion: str, target: float | None) -> None:
    """Refuse a target that does not go with its criterion.

    Raises:
        ConfigurationError: If it does not, or there is no such criterion.
    """
    known = ("youden", "max_f1", "balanced", *NEEDS_TARGET)
    if criterion not in known:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME, f"expected one of {', '.join(known)} as criterion, got {criterion}"
        )
    fits = target is None
    if criterion in NEEDS_TARGET:
        fits = isinstance(target, int | float) and 0 < target < 1
    if not fits:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a target between 0 and 1 for {', '.join(NEEDS_TARGET)} and none otherwise, "
            f"got {target} for {criterion}",
        )


def image_size_of(weights: str | Path, *, without: int) -> int:
    """Return the size at which weights were trained, for `image_size` in a configuration.

    Args:
        weights: A file of weights with `operating_point.json` beside it.
        without: What to return where that file does not stand: a configuration can then be
            checked and its network be built without weights.
    """
    return int(_stored(weights, "image_size", without))


def clahe_of(weights: str | Path) -> bool:
    """Return whether weights were trained on films equalised by CLAHE, for `clahe`.

    Args:
        weights: As for `image_size_of`; false without `operating_point.json`.
    """
    return bool(_stored(weights, "clahe", False))


def clip_limit_of(weights: str | Path) -> float:
    """Return the limit of CLAHE with which weights were trained, for `clip_limit`.

    Args:
        weights: As for `image_size_of`; 2 without `operating_point.json`.
    """
    return float(_stored(weights, "clip_limit", 2.0))


def _stored(weights: str | Path, name: str, without: float) -> float:
    path = Path(weights).parent / POINT_NAME
    if not path.is_file():
        return without
    value: float = _read_json(path).get(name, without)
    return value


def _plain(point: AnomalyPoint) -> dict[str, Any]:
    figures = {name: asdict(figure) for name, figure in point.figures.items()}
    content = {each.name: getattr(point, each.name) for each in fields(point)}
    return content | {"figures": figures, "score": point.score.value}


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < np.inf


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except ValueError as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected JSON in {path.name}, got a file that does not parse ({error}); train anew",
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected an object in {path.name}, got another; train anew"
        )
    return content


def _read_profile(path: Path) -> Profile:
    try:
        with path.open("rb") as content, np.load(content) as arrays:
            return Profile(arrays["mean"], whitening=arrays["whitening"], scale=arrays["scale"])
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise ConfigurationError(
            Reason.WEIGHTS_MISMATCH,
            f"expected the profile of normal films in {path.name}, got a file that holds none; "
            "train anew",
        ) from error


def _missing(path: Path) -> ConfigurationError:
    return ConfigurationError(
        Reason.WEIGHTS_MISSING,
        f"expected {path.name} beside the weights, got no such file; train or download the "
        "bundle's weights",
    )
