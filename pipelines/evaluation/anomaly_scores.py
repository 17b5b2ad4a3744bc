"""How unusual a film is, told from the film and its reconstruction.

Five scores, each higher for a more unusual film:

- `mean_error`: the mean squared error.
- `top_error`: the mean of the largest hundredth of the absolute errors.
- `patch_ssim`: 1 - SSIM of the tenth of the patches that are least alike.
- `profile`: how far the film's profile lies from those of the normal training films. A profile
  tells, at several scales, how much detail film and error have and how uneven it is, and which
  greys occur; the distance is Mahalanobis', so what counts is how these go together.
- `combined`: `profile` and `mean_error` together, each as its logarithm's deviation from the normal
  training films. The one sees films that are made up otherwise, the other what was never seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from pipelines.errors import DatasetError, Reason
from pipelines.training.reconstruction_metrics import film_measures, ssim_map

Floats = npt.NDArray[np.float64]
Plane = npt.NDArray[np.float32]


class AnomalyScore(StrEnum):
    """The scores by name."""

    MEAN_ERROR = "mean_error"
    TOP_ERROR = "top_error"
    PATCH_SSIM = "patch_ssim"
    PROFILE = "profile"
    COMBINED = "combined"


TOP_SHARE = 0.01
"""Share of the pixels whose errors `top_error` averages."""

PATCH_SHARE = 0.1
"""Share of the patches that `patch_ssim` averages."""

_PATCH = 8
_SMALLEST_SIDE = 16
_LEAST = 0.01
_SPREAD = 1e-9
_LARGEST_LOGARITHM = 50.0
_GREYS = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFilms:
    """What was measured of n films and their reconstructions.

    Attributes:
        measures: (n,) each, by the names of `MEASURES` of `reconstruction_metrics`.
        scores: (n,) each, of the scores that need no other films.
        profiles: (n, features).
    """

    measures: dict[str, Floats]
    scores: dict[AnomalyScore, Floats]
    profiles: Floats

    def __len__(self) -> int:
        """Return the number of films."""
        return len(self.profiles)

    @classmethod
    def joined(cls, parts: Sequence["MeasuredFilms"]) -> Self:
        """Put the films of several batches one behind another."""
        return cls(
            {n: np.concatenate([part.measures[n] for part in parts]) for n in parts[0].measures},
            {n: np.concatenate([part.scores[n] for part in parts]) for n in parts[0].scores},
            np.concatenate([part.profiles for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What normal films are like.

    Attributes:
        mean: Of their profiles, (features,).
        whitening: (features, features); profiles minus the mean times this have, over normal films,
            variance 1 in every direction.
        scale: Means (first row) and deviations (second row) over normal films of the logarithms of
            `profile` and of `mean_error`, (2, 2).
    """

    mean: Floats
    whitening: Floats
    scale: Floats

    @classmethod
    def fit(cls, normal: MeasuredFilms) -> Self:
        """Fit to normal films, with a shrunk covariance of their profiles.

        Raises:
            DatasetError: If there are fewer than two films.

        References:
            Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
            J. Multivariate Analysis 88 (2004).
        """
        profiles = normal.profiles
        if len(profiles) < 2:  # noqa: PLR2004 - one film has no spread
            raise DatasetError(
                Reason.DATASET_LAYOUT,
                f"expected two normal films or more to learn from, got {len(profiles)}; add films",
            )
        # scikit-learn takes as long to import as a film to be predicted, and only fitting needs it.
        from sklearn.covariance import LedoitWolf

        mean = profiles.mean(axis=0)
        spread = np.maximum(profiles.std(axis=0), _SPREAD)
        covariance = LedoitWolf(assume_centered=True).fit((profiles - mean) / spread).covariance_
        values, vectors = np.linalg.eigh(covariance)
        scaled = vectors / np.sqrt(np.maximum(values, _SPREAD))
        whitening = scaled / spread[:, None]
        logs = _logarithms(_distance(profiles, mean, whitening), normal)
        scale = np.stack([logs.mean(axis=0), np.maximum(logs.std(axis=0), _SPREAD)])
        return cls(mean=mean, whitening=whitening, scale=scale)

    def scores(self, films: MeasuredFilms) -> dict[AnomalyScore, Floats]:
        """Return every score of films, (n,) each, at least 0.

        `profile` is the root mean square of whitened profiles, about 1 for normal films; so is
        `combined`, of which 1 is an ordinary film.
        """
        distance = _distance(films.profiles, self.mean, self.whitening)
        deviations = (_logarithms(distance, films) - self.scale[0]) / self.scale[1]
        combined = np.exp(np.minimum(deviations.mean(axis=1), _LARGEST_LOGARITHM))
        return films.scores | {AnomalyScore.PROFILE: distance, AnomalyScore.COMBINED: combined}


def measure_films(films: torch.Tensor, reconstructions: torch.Tensor) -> MeasuredFilms:
    """Measure a batch.

    Args:
        films: (n, 1, height, width), 0 to 1; sides of at least 32 pixels.
        reconstructions: The same shape.

    Returns:
        The measures, one entry a film, in the same order.
    """
    films, reconstructions = films.float().cpu(), reconstructions.float().cpu()
    error = (reconstructions - films).abs().flatten(1)
    patches = functional.avg_pool2d(ssim_map(reconstructions, films), _PATCH).flatten(1)
    measures = {name: _floats(v) for name, v in film_measures(reconstructions, films).items()}
    return MeasuredFilms(
        measures=measures,
        scores={
            AnomalyScore.MEAN_ERROR: measures["mse"],
            AnomalyScore.TOP_ERROR: _floats(_largest(error, TOP_SHARE)),
            AnomalyScore.PATCH_SSIM: _floats(_largest(1 - patches, PATCH_SHARE)),
        },
        profiles=np.stack(
            [
                profile_of(film[0].numpy(), made[0].numpy())
                for film, made in zip(films, reconstructions, strict=True)
            ]
        ),
    )


def profile_of(film: Plane, reconstruction: Plane) -> Floats:
    """Describe a film and its error: logarithms of detail at several scales, and of greys.

    Args:
        film: float32, (height, width), 0 to 1.
        reconstruction: The same shape.

    Returns:
        float64, (features,); their number follows from the size.
    """
    error = reconstruction - film
    described = [*_detail(film), *_greys(film), *_detail(error), *_greys(np.abs(error))]
    return np.log(np.asarray(described, dtype=np.float64).clip(0) + _LEAST)


def _detail(plane: Plane) -> list[float]:
    """Slopes and curvature at each scale, from the full size to the last above 16 pixels."""
    found: list[float] = []
    while min(plane.shape) >= _SMALLEST_SIDE:
        slopes = np.hypot(cv2.Sobel(plane, cv2.CV_32F, 1, 0), cv2.Sobel(plane, cv2.CV_32F, 0, 1))
        for detail in (slopes, np.abs(cv2.Laplacian(plane, cv2.CV_32F))):
            found += [detail.mean(), detail.std()]
        plane = cv2.pyrDown(plane)
    return found


def _greys(plane: Plane) -> list[float]:
    return [plane.mean(), plane.std(), *np.percentile(plane, _GREYS)]


def _largest(values: torch.Tensor, share: float) -> torch.Tensor:
    """Mean of the largest share of each row, of one value at least."""
    count = max(1, round(values.shape[1] * share))
    return values.topk(count, dim=1).values.mean(1)


def _floats(values: torch.Tensor) -> Floats:
    return values.double().numpy()


def _distance(profiles: Floats, mean: Floats, whitening: Floats) -> Floats:
    return np.asarray(np.sqrt((((profiles - mean) @ whitening) ** 2).mean(axis=1)))


def _logarithms(distance: Floats, films: MeasuredFilms) -> Floats:
    """Logarithms of `profile` and `mean_error`: (n, 2)."""
    both = np.stack([distance, films.scores[AnomalyScore.MEAN_ERROR]], axis=1)
    return np.log(np.maximum(both, _SPREAD))
