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
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from sklearn import metrics as scores

from pipelines.training.ranks import ranks

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


class _OfAllFilms(Metric):
    """A score of all films at once, those of other processes among them.

    Args:
        score: Gives it from probabilities and labels.
    """

    def __init__(self, score: _Compute) -> None:
        self._score = score
        super().__init__(output_transform=_scores_and_labels)

    def reset(self) -> None:
        """Forget all films."""
        self._probabilities: list[torch.Tensor] = []
        self._labels: list[torch.Tensor] = []

    def update(self, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Add a batch: probabilities, (batch,) or (batch, classes), and labels, (batch,)."""
        self._probabilities.append(output[0].detach())
        self._labels.append(output[1].detach())

    def compute(self) -> float:
        """Return the score.

        Raises:
            NotComputableError: If there was no film.
        """
        parts = ranks().gather([_joined(each) for each in (self._probabilities, self._labels)])
        probabilities, labels = (_in_turn([part[side] for part in parts]) for side in (0, 1))
        if not len(labels):
            raise NotComputableError("expected at least one film, got none")
        return self._score(probabilities, labels)


def _joined(batches: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join batches; one without films, of whatever width, adds nothing."""
    held = [each for each in batches if len(each)]
    return torch.cat(held) if held else torch.empty(0)


def _in_turn(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Put together the films of all processes, each of which has every N-th."""
    together = parts[0].new_empty((sum(map(len, parts)), *parts[0].shape[1:]))
    for rank, part in enumerate(parts):
        if len(part):
            together[rank :: len(parts)] = part
    return together


def _from_all(compute: _Compute) -> Metric:
    return _OfAllFilms(compute)


def _scores_and_labels(output: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make probabilities of the logits: (batch,) of class 1 of two, (batch, classes) of more."""
    labels = output["label"].reshape(-1).cpu().long()
    if not len(labels):
        return torch.empty(0), labels
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
