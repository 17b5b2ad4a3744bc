"""Fit a guard: subspaces from training films, the limit from validation films."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import t as student

from pipelines.errors import ConfigurationError, DatasetError, Reason
from pipelines.evaluation.guard import (
    EDGE_WEIGHT,
    THUMBNAIL,
    Floats,
    Guard,
    Scores,
    Subspace,
    describe_edges,
    describe_pixels,
    thumbnails,
)
from pipelines.training.dataset import RadiographDataset

logger = logging.getLogger(__name__)

_BLOCK = 64
_VARIANTS = 2
_PIXEL_AXES = 150
_EDGE_AXES = 64
# With fewer films than this an axis, directions are those of single films.
_FILMS_PER_AXIS = 4
_FEWEST = 2
_LEAST = 1e-6


def fit_guard(
    train: Iterable[torch.Tensor | npt.NDArray[np.float32]],
    val: Iterable[torch.Tensor | npt.NDArray[np.float32]],
    *,
    false_alarms: float = 0.01,
    edge_weight: float = EDGE_WEIGHT,
) -> Guard:
    """Fit a guard.

    Each training film counts with its mirror image and with variants that are turned, moved,
    zoomed and toned a little, so that a film is not flagged for how the patient stood.

    Args:
        train: Training films as the network sees them, (channel, height, width) each.
        val: Validation films of other patients, likewise.
        false_alarms: Share of films that belong and are flagged all the same, 0 to 1.
        edge_weight: Weight of edges against grey values. More of it tells foreign films better
            where films that belong have many poses, and flags films of other detectors more often.

    Returns:
        The guard; equal films give an equal guard.

    Raises:
        ConfigurationError: If `false_alarms` is not between 0 and 1.
        DatasetError: If there are fewer than two training or two validation films.
    """
    if not 0 < false_alarms < 1:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected false_alarms between 0 and 1, got {false_alarms}"
        )
    generator = np.random.default_rng(0)
    pixels, edges = _Moments(), _Moments()
    for small in _in_thumbnails(train):
        varied = [_varied(film, generator) for film in small for _ in range(_VARIANTS)]
        seen = np.concatenate([small, np.stack(varied)])
        for each in (seen, np.ascontiguousarray(seen[..., ::-1])):
            pixels.add(describe_pixels(each))
            edges.add(describe_edges(each))
    own = list(_in_thumbnails(val))
    if pixels.count == 0 or sum(map(len, own)) < _FEWEST:
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            "expected training films and at least two validation films to fit a guard on; "
            "give more films",
        )
    subspaces = (pixels.subspace(_PIXEL_AXES), edges.subspace(_EDGE_AXES))
    blank = Guard(*subspaces, scale=np.zeros((2, 0)), limit=0.0)
    raw = np.concatenate([blank.raw(small) for small in own])
    scale = np.stack([raw.mean(axis=0), np.maximum(raw.std(axis=0), _LEAST)])
    open_guard = Guard(*subspaces, scale=scale, limit=np.inf, edge_weight=edge_weight)
    return replace(open_guard, limit=_limit(open_guard.combine(raw), false_alarms))


def fit_and_save_guard(
    dataset_train: RadiographDataset,
    dataset_val: RadiographDataset,
    path: Path,
    *,
    edge_weight: float = EDGE_WEIGHT,
) -> Guard:
    """Fit a guard on the films of a run, without augmentation, and write it.

    Args:
        dataset_train: Training films; what is kept in memory is not read again.
        dataset_val: Validation films.
        path: Where the guard is written, `guard.npz` beside the weights as a rule.
        edge_weight: See `fit_guard`.

    Returns:
        The guard.

    Raises:
        DatasetError: If there are too few films.
    """
    guard = fit_guard(dataset_train.plain(), dataset_val.plain(), edge_weight=edge_weight)
    guard.save(path)
    logger.info("Guard fitted on %d films, limit %.2f", len(dataset_train), guard.limit)
    return guard


class _Moments:
    """Sums over descriptions, from which mean and covariance follow."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: npt.NDArray[np.float64] = np.zeros(0)
        self._products: npt.NDArray[np.float64] = np.zeros((0, 0))

    def add(self, described: Floats) -> None:
        """Add (n, features)."""
        values = described.astype(np.float64)
        if self.count == 0:
            self._sum, self._products = np.zeros(values.shape[1]), np.zeros((values.shape[1],) * 2)
        self._sum += values.sum(axis=0)
        self._products += values.T @ values
        self.count += len(values)

    def subspace(self, axes: int) -> Subspace:
        """Return the subspace of the `axes` largest variances, or of fewer for few films."""
        mean = self._sum / self.count
        covariance = self._products / self.count - np.outer(mean, mean)
        variances, directions = np.linalg.eigh(covariance)
        variances = np.maximum(variances[::-1], _LEAST)
        kept = max(1, min(axes, self.count // _FILMS_PER_AXIS, len(mean) - 1))
        return Subspace(
            mean.astype(np.float32),
            # As they are written, so that the limit is that of the guard that is read back.
            directions[:, ::-1].T[:kept].astype(np.float16).astype(np.float32),
            variances[:kept].astype(np.float32),
            residual=float(variances[kept:].sum()),
        )


def _in_thumbnails(films: Iterable[torch.Tensor | npt.NDArray[np.float32]]) -> Iterator[Floats]:
    single = (thumbnails(np.asarray(film, dtype=np.float32)[None])[0] for film in films)
    while block := list(islice(single, _BLOCK)):
        yield np.stack(block)


def _varied(film: Floats, generator: np.random.Generator) -> Floats:
    """Turn, move, zoom and tone a thumbnail as another exposure of the same patient might be."""
    uniform: Callable[..., float] = generator.uniform
    angle, zoom = np.deg2rad(uniform(-8, 8)), np.exp(uniform(np.log(0.8), np.log(1.15)))
    stretch = np.exp(uniform(-0.1, 0.1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([zoom * stretch, zoom / stretch])
    centre = np.full(2, (THUMBNAIL - 1) / 2)
    offset = centre + generator.uniform(-0.05, 0.05, 2) * THUMBNAIL - linear @ centre
    matrix = np.column_stack([linear, offset])
    size = (THUMBNAIL, THUMBNAIL)
    moved = np.stack(
        [cv2.warpAffine(plane, matrix, size, borderValue=float(plane.min())) for plane in film]
    )
    low, span = moved.min(), max(float(np.ptp(moved)), _LEAST)
    toned: Floats = ((moved - low) / span) ** np.float32(np.exp(uniform(-0.35, 0.35)))
    return toned


def _limit(scores: Scores, false_alarms: float) -> float:
    """Return the score that a new film exceeds with probability `false_alarms`.

    With enough films that is the score of one of them. With fewer it lies beyond them all, where a
    normal distribution puts it.
    """
    count = len(scores)
    rank = int(np.ceil((count + 1) * (1 - false_alarms)))
    if rank <= count:
        return float(np.sort(scores)[rank - 1])
    beyond = student.ppf(1 - false_alarms, count - 1) * np.sqrt(1 + 1 / count)
    return float(max(scores.max(), scores.mean() + beyond * scores.std(ddof=1)))
