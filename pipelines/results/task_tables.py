"""The tables of each task, written from records and a few plain settings.

Whoever has both can write the tables, without a network and without a bundle: so the parts of one
prediction become one set of tables wherever they were made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.predictions import AnomalyDetection, Classification, Segmentation
from pipelines.results.anomalies import write_detections
from pipelines.results.masks import ImageNames, write_segmentations
from pipelines.results.tables import write_classifications


@dataclass(frozen=True, slots=True)
class ClassTables:
    """Tables of a classifier.

    Attributes:
        classes: Class names in order.
    """

    classes: tuple[str, ...]

    def __call__(self, output: Path, predictions: Sequence[Any]) -> Mapping[str, object]:
        """Write `predictions.csv` and `predictions.json`; see `write_classifications`."""
        return write_classifications(output, predictions, classes=self.classes)


@dataclass(frozen=True, slots=True)
class MaskTables:
    """Tables of a segmentation.

    Attributes:
        classes: Names of the structures in order.
        image_names: What stands under `image_name`.
    """

    classes: tuple[str, ...]
    image_names: ImageNames = ImageNames.PATH

    def __call__(self, output: Path, predictions: Sequence[Any]) -> Mapping[str, object]:
        """Write `predictions.csv` and its like; see `write_segmentations`."""
        return write_segmentations(
            output, predictions, classes=self.classes, image_names=self.image_names
        )


@dataclass(frozen=True, slots=True)
class AnomalyTables:
    """Tables of a detector of anomalies.

    Attributes:
        score: Name of the score.
        threshold: At which a film counts as anomalous.
    """

    score: str
    threshold: float

    def __call__(self, output: Path, predictions: Sequence[Any]) -> Mapping[str, object]:
        """Write `predictions.csv` and `predictions.json`; see `write_detections`."""
        return write_detections(output, predictions, score=self.score, threshold=self.threshold)


TaskTables = ClassTables | MaskTables | AnomalyTables

_TASKS: Mapping[str, type[TaskTables]] = {
    Classification.__name__: ClassTables,
    Segmentation.__name__: MaskTables,
    AnomalyDetection.__name__: AnomalyTables,
}


def tables_of(task: str, settings: Mapping[str, Any]) -> TaskTables:
    """Return what writes the tables of a task.

    Args:
        task: Name of the class of its records.
        settings: The attributes of what is returned, as JSON holds them.

    Raises:
        KeyError: If there is no such task.
        TypeError: If the settings are those of another one.
    """
    made: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    if "image_names" in made:
        made["image_names"] = ImageNames(made["image_names"])
    return _TASKS[task](**made)
