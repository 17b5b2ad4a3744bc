"""Weigh films against their look, so that a network cannot learn the class from how films are made.

In many collections the classes were exposed, collimated, marked or compressed differently: on the
public chest set a linear model that sees nothing but grey levels, sharpness and margins tells the
classes apart at AUROC 0.97. A network learns that look first, and it fails on films that are made
otherwise. Here such a model is fitted on purpose, and each film is weighed by how little its look
gives away its class: normal films that look like those of the sick, and the other way round, are
drawn more often.

References:
    Puli et al., Out-of-distribution generalization in the presence of nuisance-induced spurious
    correlations, ICLR 2022: reweighting by a model of the nuisance alone.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.errors import ConfigurationError, Reason
from pipelines.training.dataset import RadiographDataset
from pipelines.training.ranks import ranks

Floats = npt.NDArray[np.float64]

_FOLDS = 8
_STRENGTH = 0.05
_PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
_BANDS = 5
_BAND_RATIO = 1.7
_THUMBNAIL = 28
_REFERENCE_SIDE = 224


class LookWeights:
    """Weights of films for `EpochSampler`, worked out when first asked for.

    Args:
        dataset: Films with `label`, and with `group` for the patient.
        limit: The largest weight before classes are balanced; 1 balances classes only.
    """

    def __init__(self, dataset: RadiographDataset, *, limit: float = 8.0) -> None:
        if limit < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected a limit of at least 1, got {limit}"
            )
        self.dataset = dataset
        self.limit = limit
        self._weights: Floats | None = None

    def __call__(self) -> Floats:
        """Return one weight a film; the weights of each class sum to the same."""
        if self._weights is None:
            # Fitted once: another processor's last digit would draw other films.
            group = ranks()
            self._weights = group.from_main(self._fitted() if group.is_main else np.empty(0))
        return self._weights

    def _fitted(self) -> Floats:
        data = self.dataset.data
        return weigh(
            np.stack([describe_look(film) for film in self.dataset.films()]),
            [int(item["label"]) for item in data],
            [str(item["group"]) for item in data],
            limit=self.limit,
        )


def describe_look(film: npt.NDArray[np.float32]) -> Floats:
    """Describe how a film was made, and as little as possible of what is on it.

    Args:
        film: float32, 0 to 1, (1, height, width).

    Returns:
        Percentiles and spread of grey, sharpness in five bands, and the margins in thumbnail.
    """
    grey = np.ascontiguousarray(film[0])
    scale = grey.shape[0] / _REFERENCE_SIDE
    bands = []
    finer = grey
    for band in range(_BANDS):
        coarser = cv2.GaussianBlur(grey, (0, 0), max(scale, 0.3) * _BAND_RATIO**band)
        bands.append(np.log(float(np.std(finer - coarser)) + 1e-3))
        finer = coarser
    small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    margins = [small[:3, ::3], small[-2:, ::3], small[::3, :2], small[::3, -2:]]
    grey_levels = [*np.percentile(grey, _PERCENTILES), grey.std()]
    return np.concatenate([grey_levels, bands, *(part.ravel() for part in margins)]).astype(float)


def weigh(looks: Floats, labels: Sequence[int], groups: Sequence[str], *, limit: float) -> Floats:
    """Weigh each film by the inverse of the probability that its look gives to its class.

    The probability comes from a logistic regression that has not seen the film's patient.

    Args:
        looks: (films, features).
        labels: Class index of each film.
        groups: Patient of each film.
        limit: The largest weight before classes are balanced.

    Returns:
        (films,), above 0; each class sums to 1.
    """
    truth = np.asarray(labels)
    weights = np.ones(len(truth))
    patients = len(set(groups))
    if limit > 1 and patients >= 2 * _FOLDS and len(set(labels)) > 1:
        model: Any = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=_STRENGTH, max_iter=2000, class_weight="balanced"),
        )
        probabilities = cross_val_predict(
            model, looks, truth, groups=groups, cv=GroupKFold(_FOLDS), method="predict_proba"
        )
        classes = np.unique(truth)
        own = probabilities[np.arange(len(truth)), np.searchsorted(classes, truth)]
        weights = np.clip(1 / np.maximum(own, 1e-6), 1.0, limit)
    for label in set(labels):
        weights[truth == label] /= weights[truth == label].sum()
    return weights
