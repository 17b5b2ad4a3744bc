"""Scores of a validation pass by name, in families: what a network answers decides which apply."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

import torch
from ignite.metrics import EpochMetric, Metric
from sklearn import metrics as scores

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names
from pipelines.training.reconstruction_metrics import ReconstructionMeasure
from pipelines.training.segmentation_metrics import LayerDice

_UNDEFINED = 0.5


class Family(StrEnum):
    """What a network answers."""

    CLASSIFICATION = "classification"
    SEGMENTATION = "segmentation"
    RECONSTRUCTION = "reconstruction"


def build_metric(name: str) -> Metric:
    """Return the ignite metric called `name`.

    Args:
        name: Classification, one logit and labels 0 and 1, decided at probability 0.5: `auroc`,
            `auprc`, `accuracy`, `balanced_accuracy`, `sensitivity`, `specificity`, `f1` or `loss`.
            Segmentation, logits and labels (batch, channel, height, width): `dice`.
            Reconstruction, films and labels (batch, channel, height, width): `psnr`, `mse`, `mae`
            or `ssim`; of these only `psnr` and `ssim` are higher when better.

    Returns:
        A metric to attach to an evaluator whose output holds `pred` and `label`.

    Raises:
        ConfigurationError: If there is no such metric.
    """
    makers = {known: make for family in FAMILIES.values() for known, make in family.items()}
    if name not in makers:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected the name of a metric, got {name!r}{right_names(name, makers)}",
        )
    return makers[name]()


def family_of(name: str) -> Family | None:
    """Return the family of a metric by its name, with or without `val_`; None for foreign ones.

    Examples:
        >>> family_of("val_dice").value
        'segmentation'
    """
    bare = name.removeprefix("val_")
    return next((family for family, makers in FAMILIES.items() if bare in makers), None)


def _from_all(compute: Callable[[torch.Tensor, torch.Tensor], float]) -> Metric:
    return EpochMetric(compute, output_transform=_scores_and_labels, check_compute_fn=False)


def _scores_and_labels(output: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    probability = torch.sigmoid(output["pred"].float().reshape(-1)).cpu()
    return probability, output["label"].reshape(-1).cpu().long()


def _ranking(score: Callable[..., float]) -> Callable[[torch.Tensor, torch.Tensor], float]:
    def compute(probability: torch.Tensor, label: torch.Tensor) -> float:
        # With one class only, ranking says nothing: chance level keeps the run going.
        if len(set(label.tolist())) < 2:  # noqa: PLR2004 - two classes
            return _UNDEFINED
        return float(score(label.numpy(), probability.numpy()))

    return compute


def _decision(
    score: Callable[..., float], **options: object
) -> Callable[[torch.Tensor, torch.Tensor], float]:
    def compute(probability: torch.Tensor, label: torch.Tensor) -> float:
        decided = (probability >= 0.5).long().numpy()  # noqa: PLR2004 - even odds
        return float(score(label.numpy(), decided, **options))

    return compute


def _recall_of(label: int) -> Callable[..., float]:
    return _decision(scores.recall_score, pos_label=label, zero_division=0.0)


def _balanced(probability: torch.Tensor, label: torch.Tensor) -> float:
    return (_recall_of(1)(probability, label) + _recall_of(0)(probability, label)) / 2


def _cross_entropy(probability: torch.Tensor, label: torch.Tensor) -> float:
    return float(scores.log_loss(label.numpy(), probability.double().numpy(), labels=[0, 1]))


_CLASSIFICATION: dict[str, Callable[[torch.Tensor, torch.Tensor], float]] = {
    "auroc": _ranking(scores.roc_auc_score),
    "auprc": _ranking(scores.average_precision_score),
    "accuracy": _decision(scores.accuracy_score),
    "balanced_accuracy": _balanced,
    "sensitivity": _recall_of(1),
    "specificity": _recall_of(0),
    "f1": _decision(scores.f1_score, zero_division=0.0),
    "loss": _cross_entropy,
}

FAMILIES: Mapping[Family, Mapping[str, Callable[[], Metric]]] = {
    Family.CLASSIFICATION: {
        name: partial(_from_all, compute) for name, compute in _CLASSIFICATION.items()
    },
    Family.SEGMENTATION: {"dice": LayerDice},
    Family.RECONSTRUCTION: {
        name: partial(ReconstructionMeasure, name) for name in ("psnr", "ssim", "mse", "mae")
    },
}
"""How each metric is made; a name stands in one family only."""
