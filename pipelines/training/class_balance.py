"""Weigh films by how frequent their class is, in between as they come and all classes alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import ConfigurationError, Reason


class ClassBalance:
    """Weights of films for `EpochSampler`.

    Args:
        data: Items with a `label` (int) each.
        power: A film of a class of n films weighs n ** -power: 0 draws films as they come, 1 draws
            every class equally often. In between, rare classes are seen more often without
            repeating their few films so much that they are learnt by heart.
    """

    def __init__(self, data: Sequence[Mapping[str, Any]], *, power: float = 0.5) -> None:
        if not 0 <= power <= 1:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected a power from 0 to 1, got {power}"
            )
        self.data = data
        self.power = power

    def __call__(self) -> npt.NDArray[np.float64]:
        """Return one weight a film; they sum to 1."""
        labels = np.array([int(item["label"]) for item in self.data], dtype=np.int64)
        weights = np.bincount(labels)[labels].astype(np.float64) ** -self.power
        return np.asarray(weights / weights.sum(), dtype=np.float64)
