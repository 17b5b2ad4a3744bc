"""`class_info.json`: what a program needs to use a classifier's answers, in one small file."""

from collections.abc import Mapping
from pathlib import Path

from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.files import write_json


def write_class_info(
    path: Path, operating_point: OperatingPoint, *, preprocessing: Mapping[str, object]
) -> None:
    """Write names and order of the classes, how they are decided, and what the network takes.

    Args:
        path: File to write, `class_info.json` as a rule.
        operating_point: Of the network.
        preprocessing: What is done to a film: `channels`, `height` and `width` of the network's
            input, its normalisation, and whatever else shapes it.
    """
    names = operating_point.classes
    write_json(
        path,
        {
            "names": names,
            "order": {name: index for index, name in enumerate(names)},
            "positive_classes": operating_point.positive_classes,
            "threshold": operating_point.threshold,
            "temperature": operating_point.temperature,
            "bias": operating_point.bias,
            "preprocessing": dict(preprocessing),
        },
    )
