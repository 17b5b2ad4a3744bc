"""The columns and rows of every `predictions.csv`."""

from collections.abc import Sequence

from pipelines.predictions import Classification
from pipelines.table_cells import table_filename, table_number


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """Return the columns of a table of predictions.

    Args:
        classes: Class names in order.

    Returns:
        `filename,predicted_class,predicted_label,confidence,prob_<class>…`.
    """
    return [
        "filename",
        "predicted_class",
        "predicted_label",
        "confidence",
        *(f"prob_{name}" for name in classes),
    ]


def prediction_row(classification: Classification) -> dict[str, object]:
    """Return the row of one film, with the keys of `prediction_columns`."""
    return {
        "filename": table_filename(classification.filename),
        "predicted_class": classification.predicted_class,
        "predicted_label": classification.predicted_label,
        "confidence": table_number(classification.confidence),
    } | {
        f"prob_{name}": table_number(value) for name, value in classification.probabilities.items()
    }
