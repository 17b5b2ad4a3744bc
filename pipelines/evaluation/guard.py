"""The guard: does a film belong to those that a network was trained on?

A thumbnail of what the network sees is described twice, by its grey values and by the directions of
its edges. Each description is held against a subspace of the training films: how far it lies
outside of it, and how far from the middle within it. Both distances together are the score. A film
without any detail, such as a blank one, is closer to every subspace than a real film is; so too
little detail adds to the score, and where films are photographs too little colour does, as a
radiograph has it. The guard ships beside the weights, as `guard.npz`.

References:
    Moghaddam and Pentland, Probabilistic visual learning for object representation, IEEE Trans.
    PAMI 19 (1997): distance in and from feature space. Dalal and Triggs, Histograms of oriented
    gradients for human detection, CVPR 2005.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt
import torch

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.files import whole_file

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

FILE_NAME = "guard.npz"
"""Where a guard stands beside weights."""

THUMBNAIL = 48
"""Side in pixels of the thumbnail from which a film is described."""

EDGE_WEIGHT = 0.5
"""Of edges against grey values. Edges also tell detectors apart, so films of one pose need few."""

_PIXELS = 24
_CELL = 4
_DIRECTIONS = 8
# Films down to this many deviations below the mean detail or colour are taken as they are.
_LACK_SPAN = 4.0
_FLAT = 1e-3
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """The directions in which descriptions of training films differ most.

    Attributes:
        mean: (features,).
        axes: Orthonormal, (directions, features).
        variances: Along each axis, (directions,), above 0.
        residual: Mean squared distance of training films from the subspace, above 0.
    """

    mean: Floats
    axes: Floats
    variances: Floats
    residual: float

    def distance(self, described: Floats) -> Scores:
        """Return how far descriptions (n, features) lie from the middle, within and without.

        Returns:
            (n,), at least 0; about 2 for training films.
        """
        centred = described - self.mean
        within = centred @ self.axes.T
        outside = (centred**2).sum(1) - (within**2).sum(1)
        inside = (within**2 / self.variances).mean(1)
        return np.asarray(inside + np.maximum(outside, 0) / self.residual, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """Tells films that do not belong.

    Attributes:
        pixels: Of grey values.
        edges: Of directions of edges.
        scale: Means (first row) and deviations (second row) over validation films of what `raw`
            gives, (2, 3) or (2, 4).
        limit: Films with a score above it are flagged.
        edge_weight: Weight of the edges' distance against that of the grey values.
    """

    pixels: Subspace
    edges: Subspace
    scale: Scores
    limit: float
    edge_weight: float = EDGE_WEIGHT

    @property
    def channels(self) -> int:
        """Number of channels of the films that it was fitted on."""
        return len(self.pixels.mean) // _PIXELS**2

    def score(self, images: torch.Tensor | npt.NDArray[Any]) -> Scores:
        """Score films as the network sees them.

        Args:
            images: (n, channel, height, width), of any size and any scale of grey.

        Returns:
            (n,), the higher the less a film belongs; infinite where a film is not finite.

        Raises:
            ConfigurationError: If the number of channels is another one than it was fitted on.
        """
        films = np.asarray(images, dtype=np.float32)
        if films.shape[1] != self.channels:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected films of {self.channels} channels, got {films.shape[1]}; fit the guard "
                "with the preprocessing that it is used with",
            )
        finite = np.isfinite(films).all(axis=(1, 2, 3))
        scores = np.full(len(films), np.inf)
        if finite.any():
            scores[finite] = self.combine(self.raw(thumbnails(films[finite])))
        return scores

    def raw(self, small: Floats) -> Scores:
        """Return what makes up the score of `thumbnails`.

        Returns:
            (n, 3): the logarithms of both distances, and of the detail; (n, 4) for photographs,
            with the logarithm of how much of the contrast is colour.
        """
        distances = [
            self.pixels.distance(describe_pixels(small)),
            self.edges.distance(describe_edges(small)),
        ]
        logarithms = [np.log(np.maximum(values, _LEAST)) for values in distances]
        colour = [measure_colour(small)] if self.channels > 1 else []
        return np.stack([*logarithms, measure_detail(small), *colour], axis=1)

    def combine(self, raw: Scores) -> Scores:
        """Make one score of distances, detail and colour.

        Args:
            raw: What `raw` gives.

        Returns:
            (n,).
        """
        parts = (raw[:, : self.scale.shape[1]] - self.scale[0]) / self.scale[1]
        lack = np.maximum(-parts[:, 2:] - _LACK_SPAN, 0).sum(axis=1)
        return np.asarray(parts[:, 0] + self.edge_weight * parts[:, 1] + lack, dtype=np.float64)

    def flags(self, scores: Scores) -> npt.NDArray[np.bool_]:
        """Return for each score whether the film does not belong."""
        return np.asarray(scores > self.limit)

    def save(self, path: Path) -> None:
        """Write the guard, axes in half precision, whole or not at all."""
        arrays: dict[str, Any] = {
            "scale": self.scale,
            "limit": np.float64(self.limit),
            "edge_weight": np.float64(self.edge_weight),
        }
        for name, subspace in (("pixels", self.pixels), ("edges", self.edges)):
            arrays[f"{name}_mean"] = subspace.mean
            arrays[f"{name}_axes"] = subspace.axes.astype(np.float16)
            arrays[f"{name}_variances"] = subspace.variances
            arrays[f"{name}_residual"] = np.float64(subspace.residual)
        with whole_file(path) as temporary:
            np.savez_compressed(temporary, **arrays)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a guard that `save` wrote.

        Raises:
            RunError: If there is no such file, or it holds no guard.
        """
        try:
            # Opened here: NumPy leaves a file open that it cannot read.
            with Path(path).open("rb") as content, np.load(content) as arrays:
                pixels, edges = _subspace(arrays, "pixels"), _subspace(arrays, "edges")
                scale, limit = arrays["scale"], float(arrays["limit"])
                edge_weight = float(arrays.get("edge_weight", EDGE_WEIGHT))
        except FileNotFoundError as error:
            raise RunError(
                Reason.WEIGHTS_MISSING,
                f"expected a guard, found no file {Path(path).name}; train the bundle, which fits "
                "one, or leave the guard out",
            ) from error
        except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
            raise RunError(
                Reason.WEIGHTS_MISMATCH,
                f"expected a guard in {Path(path).name}, got a file that holds none; fit it anew",
            ) from error
        return cls(pixels, edges, scale=scale, limit=limit, edge_weight=edge_weight)


def thumbnails(images: npt.NDArray[np.float32]) -> Floats:
    """Shrink films and bring each to mean 0 and deviation 1 over all of its channels.

    Args:
        images: (n, channel, height, width).

    Returns:
        (n, channel, 48, 48).
    """
    return _standardised(_resized(images, THUMBNAIL))


def describe_pixels(small: Floats) -> Floats:
    """Describe `thumbnails` by their grey values: (n, channel * 24 * 24)."""
    return _standardised(_resized(small, _PIXELS)).reshape(len(small), -1)


def describe_edges(small: Floats) -> Floats:
    """Describe `thumbnails` by how strong edges of 8 directions are in 6x6 cells: (n, 288)."""
    grey = _standardised(_resized(small.mean(axis=1, keepdims=True), _PIXELS))[:, 0]
    across = np.stack([cv2.Sobel(plane, cv2.CV_32F, 1, 0) for plane in grey])
    down = np.stack([cv2.Sobel(plane, cv2.CV_32F, 0, 1) for plane in grey])
    strength = np.hypot(across, down)
    place = np.arctan2(down, across) * (_DIRECTIONS / (2 * np.pi))
    cells = _PIXELS // _CELL
    found = []
    for direction in range(_DIRECTIONS):
        away = np.abs((place - direction + _DIRECTIONS / 2) % _DIRECTIONS - _DIRECTIONS / 2)
        share = np.clip(1 - away, 0, 1) * strength
        found.append(share.reshape(-1, cells, _CELL, cells, _CELL).mean(axis=(2, 4)))
    described = np.sqrt(np.stack(found, axis=1)).reshape(len(small), -1)
    length = np.sqrt((described**2).mean(axis=1, keepdims=True))
    return np.asarray(described / np.maximum(length, _LEAST), dtype=np.float32)


def measure_detail(small: Floats) -> Scores:
    """Return the logarithm of how much of `thumbnails` is fine detail: (n,)."""
    left = [
        float(np.std([plane - cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in film]))
        for film in small
    ]
    return np.asarray(np.log(np.maximum(left, _LEAST)), dtype=np.float64)


def measure_colour(small: Floats) -> Scores:
    """Return the logarithm of how much of the contrast of `thumbnails` is colour: (n,)."""
    contrast = small - small.mean(axis=(2, 3), keepdims=True)
    # Channels may come scaled each for itself, which gives a radiograph no colour.
    contrast /= np.maximum(contrast.std(axis=(2, 3), keepdims=True), np.float32(_FLAT))
    colour = contrast - contrast.mean(axis=1, keepdims=True)
    return np.asarray(np.log(np.maximum(colour.std(axis=(1, 2, 3)), _LEAST)), dtype=np.float64)


def _resized(images: Floats, side: int) -> Floats:
    resized = [
        [cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA) for plane in film]
        for film in np.ascontiguousarray(images)
    ]
    return np.asarray(resized, dtype=np.float32)


def _standardised(images: Floats) -> Floats:
    centred = images - images.mean(axis=(1, 2, 3), keepdims=True)
    spread = images.std(axis=(1, 2, 3), keepdims=True)
    return np.asarray(centred / np.maximum(spread, np.float32(_FLAT)), dtype=np.float32)


def _subspace(arrays: Any, name: str) -> Subspace:
    mean, axes, variances = (
        arrays[f"{name}_{part}"].astype(np.float32) for part in ("mean", "axes", "variances")
    )
    return Subspace(mean, axes, variances, residual=float(arrays[f"{name}_residual"]))
