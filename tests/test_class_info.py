"""What a program reads of a classifier."""

import json

from pipelines.evaluation.class_info import write_class_info
from pipelines.evaluation.operating_point import OperatingPoint


def test_names_order_decision_and_preprocessing(tmp_path):
    point = OperatingPoint(
        0.3, 1.5, ("nv", "mel", "bcc"), "youden", "validation", positive_classes=("mel", "bcc")
    )
    path = tmp_path / "class_info.json"
    write_class_info(path, point, preprocessing={"channels": 3, "height": 224, "width": 224})
    assert json.loads(path.read_text("utf-8")) == {
        "names": ["nv", "mel", "bcc"],
        "order": {"nv": 0, "mel": 1, "bcc": 2},
        "positive_classes": ["mel", "bcc"],
        "threshold": 0.3,
        "temperature": 1.5,
        "bias": 0.0,
        "preprocessing": {"channels": 3, "height": 224, "width": 224},
    }
