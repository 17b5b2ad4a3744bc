"""The last step of a classifier: logits become records, at the operating point of the weights."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pipelines.errors import Reason
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.inference.engine import Logits
from pipelines.predictions import Classification, Refusal


class Classify:
    """Turn logits into classifications; read the operating point when it is first needed.

    Args:
        weights: The file of weights that the logits come from; their operating point stands in
            `operating_point.json` beside it.
    """

    def __init__(self, weights: str | Path) -> None:
        self._weights = Path(weights)

    @cached_property
    def operating_point(self) -> OperatingPoint:
        """Threshold, temperature and class names.

        Raises:
            ConfigurationError: If the file is missing or wrong.
        """
        return OperatingPoint.beside(self._weights)

    def __call__(self, filenames: Sequence[str], logits: Logits) -> list[Classification | Refusal]:
        """Make a record for each film.

        Args:
            filenames: n names.
            logits: (n, 1), log odds of class 1.

        Returns:
            Records in the same order; a logit that is not finite becomes a refusal.
        """
        log_odds = logits.reshape(len(filenames), -1)[:, 0]
        finite = np.isfinite(log_odds)
        records = self.operating_point.classify(filenames, np.where(finite, log_odds, 0.0))
        return [
            record if good else _not_finite(record.filename)
            for record, good in zip(records, finite, strict=True)
        ]


def _not_finite(filename: str) -> Refusal:
    return Refusal(
        filename,
        Reason.NOT_FINITE,
        "expected a finite output of the network, got one that is not; "
        "the film has extreme values, or the weights are broken",
    )
