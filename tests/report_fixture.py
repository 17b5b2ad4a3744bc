"""Folders of results as predictions and runs leave them, with made-up numbers."""

import json

import numpy as np

from pipelines.evaluation.prediction_table import table_filename
from pipelines.files import write_csv

HOSTILE = (
    "</script><script>window.broken = 1</script>.png",
    "\"><img src=x onerror='window.broken = 1'>.png",
    "{{data}} & <!-- ünïcode ✓.png",
)


def write_prediction(folder, *, count, names=None):
    """Write the tables of a classifier: `count` films, a tenth flagged, two failed, one skipped."""
    random = np.random.default_rng(0)
    names = names or [f"films/{number:03d}.dcm" for number in range(count)]
    rows = []
    for number, name in enumerate(names):
        share = float(random.random())
        label = "PNEUMONIA" if share >= 0.4 else "NORMAL"
        rows.append(
            {
                "filename": table_filename(name),
                "predicted_class": int(share >= 0.4),
                "predicted_label": label,
                "confidence": share if label == "PNEUMONIA" else 1 - share,
                "prob_NORMAL": 1 - share,
                "prob_PNEUMONIA": share,
                "out_of_distribution": str(number % 10 == 0).lower(),
            }
        )
    write_csv(folder / "predictions.csv", list(rows[0]), rows)
    refused = [
        {"filename": name, "outcome": outcome, "reason": reason, "message": "expected <more>"}
        for name, outcome, reason in (
            ("cut.dcm", "failed", "truncated"),
            ("gone.dcm", "failed", "truncated"),
            ("letter.txt", "skipped", "not_an_image"),
        )
    ]
    write_csv(folder / "failures.csv", list(refused[0]), refused)
    summary = {
        "inputs": count + 3,
        "predicted": count,
        "labels": {"NORMAL": 1, "PNEUMONIA": count - 1},
        "reasons": {"truncated": 2, "not_an_image": 1},
        "threshold": 0.4,
        "explanations": "Grad-CAM",
    }
    (folder / "summary.json").write_text(json.dumps(summary), "utf-8")
