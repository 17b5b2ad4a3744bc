"""How logits of maps become masks: thresholds a structure, shipped beside the weights.

They are chosen on validation films and then stay as they are, whatever is predicted later.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.regions import Mask, without_fragments
from pipelines.files import write_json

FILE_NAME = "operating_point.json"

CANDIDATES = tuple(round(0.25 + 0.05 * step, 2) for step in range(11))
"""Thresholds to choose from: 0.25 to 0.75. Beyond, few films would decide."""

_EVEN = 0.5
_LEAST_GAIN = 0.001
_EPSILON = 1e-4


@dataclass(frozen=True, slots=True)
class SegmentationPoint:
    """What turns logits into masks.

    Attributes:
        classes: Names of the structures, in the order of the channels.
        thresholds: A probability for each, above 0 and below 1; a pixel belongs to the structure
            when its probability is at least this.
        largest_piece: Keep the largest connected part of each structure alone.
        split: Name of the split that the thresholds were chosen on.
        dice: Mean Dice on it at the network's size; None when nothing was measured.
    """

    classes: tuple[str, ...]
    thresholds: tuple[float, ...]
    largest_piece: bool = True
    split: str = "validation"
    dice: float | None = None

    def __post_init__(self) -> None:
        """Hold the fields against their rule.

        Raises:
            ConfigurationError: If there is not one threshold above 0 and below 1 for each class.
        """
        if len(set(self.classes)) != len(self.thresholds) or not all(
            0 < threshold < 1 for threshold in self.thresholds
        ):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a threshold above 0 and below 1 for each class, got "
                f"{list(self.thresholds)} for {len(self.classes)} classes",
            )

    def origin(self, split: str) -> str:
        """Say in a few words how the thresholds were chosen, and on what.

        Args:
            split: Name of the split that is evaluated.
        """
        if self.dice is None:
            return "even odds, not chosen on films"
        if self.split == split:
            return "highest Dice, chosen on these same films, so the figures are optimistic"
        return f"highest Dice, chosen on {self.split} and used unchanged"

    @staticmethod
    def even(classes: Sequence[str], *, largest_piece: bool = True) -> "SegmentationPoint":
        """Return the point that decides every structure at even odds."""
        return SegmentationPoint(tuple(classes), (_EVEN,) * len(classes), largest_piece)

    def decide(self, logits: npt.NDArray[np.float32], channel: int) -> Mask:
        """Turn the logits of one structure into its mask.

        Args:
            logits: (height, width), of any size.
            channel: Which structure they are of.

        Returns:
            bool, (height, width).
        """
        mask: Mask = logits >= _least_logit(self.thresholds[channel])
        return without_fragments(mask) if self.largest_piece else mask

    def save(self, path: Path) -> None:
        """Write the point as JSON."""
        write_json(path, {"task": "segmentation", **asdict(self)})

    @staticmethod
    def of(content: Mapping[str, Any]) -> "SegmentationPoint":
        """Make the point of what `save` wrote.

        Args:
            content: The JSON, read; a `KeyError`, `TypeError` or `ValueError` says that it is none.
        """
        return SegmentationPoint(
            classes=tuple(map(str, content["classes"])),
            thresholds=tuple(map(float, content["thresholds"])),
            largest_piece=bool(content["largest_piece"]),
            split=str(content["split"]),
            dice=content["dice"],
        )

    @staticmethod
    def beside(weights: Path) -> "SegmentationPoint":
        """Read the point that stands beside weights.

        Raises:
            ConfigurationError: If there is none, or it cannot be read.
        """
        path = weights.parent / FILE_NAME
        try:
            content = json.loads(path.read_text("utf-8"))
            return SegmentationPoint.of(content)
        except FileNotFoundError:
            raise ConfigurationError(
                Reason.WEIGHTS_MISSING,
                f"expected {FILE_NAME} beside the weights {weights.name}, got none; copy it from "
                "the run that the weights come from",
            ) from None
        except ConfigurationError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected {FILE_NAME} of a segmentation, got {type(error).__name__} in it; copy "
                "it again from the run that the weights come from",
            ) from None


def _least_logit(threshold: float) -> np.float32:
    """Return the lowest float32 that is not below a threshold's logit.

    It decides as the logit itself does, without every pixel being widened to float64 for it.
    """
    logit = np.log(threshold / (1 - threshold))
    least = np.float32(logit)
    return least if least >= logit else np.nextafter(least, np.float32(np.inf))


def choose_segmentation_point(
    films: Iterable[tuple[npt.NDArray[np.float32], Mask]],
    *,
    classes: Sequence[str],
    split: str,
    largest_piece: bool = True,
) -> SegmentationPoint:
    """Choose the threshold of each structure that gives the highest mean Dice over films.

    Even odds stay where another threshold gains less than 0.001: that is noise.

    Args:
        films: Logits and true masks of each film, (channel, height, width) each, taken one at a
            time.
        classes: Names of the structures.
        split: Name of the split that they are from.
        largest_piece: Keep the largest connected part of each structure alone.

    Returns:
        The point.
    """
    points = [
        SegmentationPoint(tuple(classes), (threshold,) * len(classes), largest_piece)
        for threshold in CANDIDATES
    ]
    scores = [
        [
            [_dice(point.decide(plane, channel), truth[channel]) for point in points]
            for channel, plane in enumerate(logits)
        ]
        for logits, truth in films
    ]
    means = np.mean(np.array(scores, dtype=np.float64), axis=0)
    even = CANDIDATES.index(_EVEN)
    best = means.argmax(axis=1)
    best = np.where(means.max(axis=1) - means[:, even] >= _LEAST_GAIN, best, even)
    return SegmentationPoint(
        tuple(classes),
        tuple(CANDIDATES[place] for place in best),
        largest_piece=largest_piece,
        split=split,
        dice=float(np.mean(means[np.arange(len(best)), best])),
    )


def _dice(mask: Mask, truth: Mask) -> float:
    both = int(np.count_nonzero(mask & (truth != 0)))
    either = int(np.count_nonzero(mask)) + int(np.count_nonzero(truth))
    return (2 * both + _EPSILON) / (either + _EPSILON)
