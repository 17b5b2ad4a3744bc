"""The last step of a classifier: logits become records, at the operating point of the weights."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pipelines.evaluation.choice import give_threshold
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.point_rules import require_input_size
from pipelines.inference.prepared import Outputs, PreparedFilm, not_finite
from pipelines.predictions import Classification, Refusal
from pipelines.results.overlays import Caption
from pipelines.results.task_tables import ClassTables


class Classify:
    """Turn logits into classifications; read the operating point when it is first needed.

    Args:
        weights: The file of weights that the logits come from; their operating point stands in
            `operating_point.json` beside it.
        threshold: Decides in place of the one that ships with the weights, 0 to 1; None takes that.
    """

    record = Classification

    def __init__(self, weights: str | Path, *, threshold: float | None = None) -> None:
        self._weights = Path(weights)
        self._threshold = threshold

    @cached_property
    def operating_point(self) -> OperatingPoint:
        """Threshold, temperature and class names.

        Raises:
            ConfigurationError: If the file is missing or wrong, or a given threshold is.
        """
        return give_threshold(OperatingPoint.beside(self._weights), self._threshold)

    def about(self) -> Mapping[str, object]:
        """Say where the threshold lies and how logits become probabilities."""
        point = self.operating_point
        return {
            "threshold": point.threshold,
            "positive_classes": point.positive_classes,
            "temperature": point.temperature,
            "bias": point.bias,
        }

    def __call__(
        self, films: Sequence[PreparedFilm], outputs: Outputs
    ) -> list[Classification | Refusal]:
        """Make a record for each film.

        Args:
            films: n films.
            outputs: (n, 1), log odds of class 1 of two, or (n, classes), a logit each.

        Returns:
            Records in the same order; logits that are not finite become a refusal.

        Raises:
            ConfigurationError: If films have another size than those that the weights saw in
                training.
        """
        for film in films:
            require_input_size(self.operating_point.input_size, film.image.shape)
        finite = np.asarray(np.isfinite(outputs).all(axis=1, keepdims=True))
        names = [film.filename for film in films]
        records = self.operating_point.classify(names, np.where(finite, outputs, 0.0))
        return [
            record if good else not_finite(record.filename)
            for record, good in zip(records, finite[:, 0], strict=True)
        ]

    @property
    def tables(self) -> ClassTables:
        """What writes `predictions.csv` and `predictions.json`."""
        return ClassTables(self.operating_point.classes)

    def caption(self, prediction: Classification) -> Caption:
        """Say which class was called and how probable it is."""
        return Caption(
            title=prediction.predicted_label,
            filename=prediction.filename,
            value=f"{prediction.confidence:.1%}",
            share=prediction.confidence,
            colour=prediction.predicted_class,
        )
