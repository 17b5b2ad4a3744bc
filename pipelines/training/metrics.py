"""Scores of a validation pass, from all its films at once."""

from collections.abc import Callable
from typing import Any

import torch
from ignite.metrics import EpochMetric
from sklearn import metrics as scores

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names

_UNDEFINED = 0.5


def build_metric(name: str) -> EpochMetric:
    """Return the ignite metric called `name`, for one logit and labels 0 and 1.

    Args:
        name: `auroc`, `auprc`, `accuracy`, `balanced_accuracy`, `sensitivity`, `specificity`, `f1`
            or `loss`; decisions are made at probability 0.5.

    Returns:
        A metric to attach to an evaluator whose output holds `pred` and `label`.

    Raises:
        ConfigurationError: If there is no such metric.
    """
    if name not in METRICS:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected the name of a metric, got {name!r}{right_names(name, METRICS)}",
        )
    return EpochMetric(METRICS[name], output_transform=_scores_and_labels, check_compute_fn=False)


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


METRICS: dict[str, Callable[[torch.Tensor, torch.Tensor], float]] = {
    "auroc": _ranking(scores.roc_auc_score),
    "auprc": _ranking(scores.average_precision_score),
    "accuracy": _decision(scores.accuracy_score),
    "balanced_accuracy": _balanced,
    "sensitivity": _recall_of(1),
    "specificity": _recall_of(0),
    "f1": _decision(scores.f1_score, zero_division=0.0),
    "loss": _cross_entropy,
}
