"""The tables of a detector of anomalies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.evaluation.anomaly_rows import COLUMNS, anomaly_cells
from pipelines.files import write_csv, write_json_with_list
from pipelines.predictions import AnomalyDetection
from pipelines.results.records import record_json


def write_detections(
    output: Path, detections: Sequence[AnomalyDetection], *, score: str, threshold: float
) -> Mapping[str, object]:
    """Write `predictions.csv` and `predictions.json`.

    Args:
        output: Folder to write to; made if missing.
        detections: In the order of the rows.
        score: Name of the score.
        threshold: At which a film counts as anomalous.

    Returns:
        `anomalous` and `normal`: how many films are.
    """
    write_csv(
        output / "predictions.csv",
        COLUMNS,
        (
            anomaly_cells(
                each.filename,
                each.anomaly_score,
                anomalous=each.anomalous,
                out_of_distribution=each.out_of_distribution,
            )
            for each in detections
        ),
    )
    write_json_with_list(
        output / "predictions.json",
        {"score": score, "threshold": threshold},
        "predictions",
        map(record_json, detections),
    )
    counts = Counter(each.anomalous for each in detections)
    return {"anomalous": counts[True], "normal": counts[False]}
