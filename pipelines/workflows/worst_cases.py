"""Pictures of where a classifier looked, of the films of an evaluation that it got most wrong."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.errors import PlainfilmError
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.explanation_pictures import on_film, write_explanation
from pipelines.evaluation.explanations import explain
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.ingest.read import read_radiograph
from pipelines.predictions import Classification
from pipelines.training.dataset import RadiographDataset

logger = logging.getLogger(__name__)


def explain_worst(
    folder: Path,
    cases: Cases,
    point: OperatingPoint,
    *,
    films: RadiographDataset,
    network: nn.Module,
    count: int,
) -> None:
    """Write `cases/worst_<n>.png` for wrong films, the surest first, then for unsure ones.

    The class that was called is explained, by Grad-CAM. What cannot be explained costs no
    evaluation: a warning says so.

    Args:
        folder: Of the evaluation.
        cases: The cases.
        point: Makes calls of them.
        films: The films, in the order of the cases.
        network: On any device.
        count: How many films; none for 0.
    """
    for earlier in (folder / "cases").glob("worst_*.png"):
        earlier.unlink()
    records = point.classify(cases.filenames, cases.logits)
    try:
        for rank, place in enumerate(_worst_first(cases, records)[:count], start=1):
            record, truth = records[place], cases.classes[cases.labels[place]]
            _explain(
                folder / "cases" / f"worst_{rank}.png",
                record,
                item=films.data[place],
                films=films,
                network=network,
                truth=truth,
            )
    except PlainfilmError as error:
        logger.warning("No explanations of the worst films: %s", error)
    except (RuntimeError, OSError) as error:
        # Memory or disk; its whole text may hold the path of a film.
        told = getattr(error, "strerror", None) or type(error).__name__
        logger.warning("No explanations of the worst films: %s", told)


def _worst_first(cases: Cases, records: Sequence[Classification]) -> list[int]:
    def order(place: int) -> tuple[bool, float]:
        record = records[place]
        right = record.predicted_class == cases.labels[place]
        return right, record.confidence if right else -record.confidence

    return sorted(range(len(records)), key=order)


def _explain(
    path: Path,
    record: Classification,
    *,
    item: dict[str, Any],
    films: RadiographDataset,
    network: nn.Module,
    truth: str,
) -> None:
    prepared = films.transform({name: item[name] for name in films.keys})
    image = torch.as_tensor(prepared["image"])
    (explanation,) = explain(network, image[None], target=[record.predicted_class])
    original = read_radiograph(Path(item["image"])).pixels
    size = (original.shape[1], original.shape[2])
    write_explanation(
        path,
        original,
        {
            name: on_film(heat, prepared.get("placement"), size)
            for name, heat in explanation.heats.items()
        },
        title=f"{record.predicted_label} {record.confidence:.1%}, truly {truth}",
        filename=record.filename,
    )
