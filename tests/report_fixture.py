"""Folders of results as predictions and runs leave them, with made-up numbers."""

import json

import numpy as np
from PIL import Image

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.drawing import save_sheet
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.report_files import write_evaluation
from pipelines.files import write_csv, write_json
from pipelines.labels import PNEUMONIA_CLASSES
from pipelines.table_cells import table_filename

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


def write_classification(folder, *, count=60):
    """Write what an evaluation of a classifier leaves, and a data card."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    names = [f"{number:03d}.png" for number in range(count)]
    cases = Cases.of(
        names,
        [f"p{number // 2}" for number in range(count)],
        labels=labels,
        logits=random.normal(labels * 3 - 1.5, 1.5),
        classes=PNEUMONIA_CLASSES,
    )
    point = OperatingPoint(0.5, 1.0, PNEUMONIA_CLASSES, "youden", "validation")
    write_evaluation(folder, cases, point, split="test")
    write_json(
        folder / "data_card.json",
        {
            "films": count,
            "splits": {"test": {name: {"films": 30, "groups": 15} for name in PNEUMONIA_CLASSES}},
            "histograms": {name: [0.1, 0.5, 0.4] for name in PNEUMONIA_CLASSES},
            "missing": {"patient": 0, "spacing": 60},
        },
    )


def write_outlines(folder, *, count=12):
    """Write what an evaluation of a segmentation leaves, with a picture of one film."""
    figure = {"value": 0.9, "low": 0.85, "high": 0.93}
    metrics = {"split": "test", "n": count, "n_groups": count, "metrics": {"dice": figure}}
    structures = {"structures": {name: {"dice": figure} for name in ("Radius", "Ulna")}}
    write_json(folder / "metrics.json", metrics | structures)
    rows = [
        {
            "filename": f"{number}.png",
            "dice": 0.9 - number / 100,
            "missed": number % 2,
            "invented": 0,
            "lowest": "Ulna",
            "dice_Radius": 0.9,
            "dice_Ulna": 0.8,
        }
        for number in range(count)
    ]
    write_csv(folder / "cases.csv", list(rows[0]), rows)
    sheet = Image.new("RGB", (60, 40), "#446688")
    panels = [(0, 0, 30, 40), (30, 0, 60, 40)]
    save_sheet(folder / "cases" / "worst_1.png", sheet, panels, film=f"{count - 1}.png")
