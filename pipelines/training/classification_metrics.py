"""Scores of a classifier from all films of a validation pass at once.

Two classes, with one logit or two, have the scores of class 1, decided at probability 0.5. Of more
classes the most probable one is called, and a score is the mean over the classes, each against the
rest.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from ignite.metrics import EpochMetric, Metric
from sklearn import metrics as scores

_Compute: TypeAlias = Callable[[torch.Tensor, torch.Tensor], float]
_UNDEFINED = 0.5
_TWO_CLASSES = 2


def auroc_of_group(members: Sequence[int]) -> Metric:
    """Return the metric AUROC of some classes together against the others.

    Args:
        members: Indices of the classes; of two classes it is always the second.

    Returns:
        A metric like those of `CLASSIFICATION`.
    """

    def compute(probability: torch.Tensor, label: torch.Tensor) -> float:
        if probability.ndim == 1:
            return _AUROC(probability, label)
        together = probability[:, list(members)].sum(dim=1).numpy()
        truth = np.isin(label.numpy(), list(members))
        return _ranking(scores.roc_auc_score)(_Question(truth, together, truth))

    return _from_all(compute)


def _from_all(compute: _Compute) -> Metric:
    return EpochMetric(compute, output_transform=_scores_and_labels, check_compute_fn=False)


def _scores_and_labels(output: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make probabilities of the logits: (batch,) of class 1 of two, (batch, classes) of more."""
    labels = output["label"].reshape(-1).cpu().long()
    logits = output["pred"].reshape(len(labels), -1).float().cpu()
    if logits.shape[1] == 1:
        return torch.sigmoid(logits[:, 0]), labels
    probability = torch.softmax(logits.double(), dim=1)
    return (probability[:, 1] if logits.shape[1] == _TWO_CLASSES else probability), labels


class _Question(NamedTuple):
    """One class against the rest, (n,) each: whether true, how probable, whether called."""

    truth: Any
    probability: Any
    called: Any


def _questions(probability: torch.Tensor, label: torch.Tensor) -> list[_Question]:
    """Ask for class 1 of two, or for each of more."""
    truth, scores_of = label.numpy(), probability.numpy()
    called = _called(probability)
    if probability.ndim == 1:
        return [_Question(truth == 1, scores_of, called == 1)]
    return [_Question(truth == k, scores_of[:, k], called == k) for k in range(scores_of.shape[1])]


def _called(probability: torch.Tensor) -> Any:
    if probability.ndim == 1:
        return (probability >= 0.5).long().numpy()  # noqa: PLR2004 - even odds
    return probability.argmax(dim=1).numpy()


def _mean(score: Callable[[_Question], float]) -> _Compute:
    def compute(probability: torch.Tensor, label: torch.Tensor) -> float:
        found = [score(question) for question in _questions(probability, label)]
        return float(sum(found) / len(found))

    return compute


def _ranking(score: Callable[..., float]) -> Callable[[_Question], float]:
    def compute(question: _Question) -> float:
        # Where a class is missing, ranking says nothing: chance level keeps the run going.
        if question.truth.all() or not question.truth.any():
            return _UNDEFINED
        return float(score(question.truth, question.probability))

    return compute


def _sensitivity(question: _Question) -> float:
    return float(scores.recall_score(question.truth, question.called, zero_division=0.0))


def _specificity(question: _Question) -> float:
    return float(scores.recall_score(~question.truth, ~question.called, zero_division=0.0))


def _f1(question: _Question) -> float:
    return float(scores.f1_score(question.truth, question.called, zero_division=0.0))


def _accuracy(probability: torch.Tensor, label: torch.Tensor) -> float:
    return float(scores.accuracy_score(label.numpy(), _called(probability)))


def _balanced(probability: torch.Tensor, label: torch.Tensor) -> float:
    found = [_sensitivity(question) for question in _questions(probability, label)]
    if len(found) == 1:
        found += [_specificity(question) for question in _questions(probability, label)]
    return sum(found) / len(found)


def _cross_entropy(probability: torch.Tensor, label: torch.Tensor) -> float:
    classes = _TWO_CLASSES if probability.ndim == 1 else probability.shape[1]
    return float(
        scores.log_loss(label.numpy(), probability.double().numpy(), labels=range(classes))
    )


_AUROC = _mean(_ranking(scores.roc_auc_score))

CLASSIFICATION: Mapping[str, Callable[[], Metric]] = {
    name: partial(_from_all, compute)
    for name, compute in {
        "auroc": _AUROC,
        "auprc": _mean(_ranking(scores.average_precision_score)),
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced,
        "sensitivity": _mean(_sensitivity),
        "specificity": _mean(_specificity),
        "f1": _mean(_f1),
        "loss": _cross_entropy,
    }.items()
}
"""How each metric is made."""
