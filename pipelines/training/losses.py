"""Losses of classifiers: of one logit for two classes, and of a logit for each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason


class BinaryLoss(nn.Module):
    """Binary cross-entropy of one logit, with label smoothing and focal weighting by choice.

    Args:
        gamma: Focusing exponent; 0 is plain cross-entropy, 2 the usual focal loss.
        alpha: Factor of the whole loss. The focal term makes a loss small; a factor above 1 makes
            up for that. To weigh one class against the other, use `positive_weight`.
        label_smoothing: Targets become `smoothing / 2` and `1 - smoothing / 2`; 0 to less than 1.
        positive_weight: Weight of positive films, such as `positive_weight` gives; 1 with
            class-balanced sampling.

    References:
        Lin et al., Focal loss for dense object detection, ICCV 2017; Szegedy et al., Rethinking the
        Inception architecture, CVPR 2016, section 7.
    """

    def __init__(
        self,
        *,
        gamma: float = 0.0,
        alpha: float = 1.0,
        label_smoothing: float = 0.0,
        positive_weight: float = 1.0,
    ) -> None:
        super().__init__()
        _check(gamma, label_smoothing, [positive_weight])
        if not alpha > 0:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected alpha above 0, got {alpha}; 1 leaves the loss as it is",
            )
        self.gamma = gamma
        self.alpha = alpha
        self.label_smoothing = label_smoothing
        self.positive_weight = positive_weight

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss.

        Args:
            logits: (batch, 1), any real numbers.
            labels: (batch,) or (batch, 1), 0 or 1.

        Returns:
            A scalar of at least 0.
        """
        truth = labels.reshape(-1).to(logits.dtype)
        scores = logits.reshape(-1).float()
        targets = truth.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
        loss = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
        if self.gamma:
            probability = torch.sigmoid(scores)
            loss = loss * (targets - probability).abs().pow(self.gamma)
        weights = torch.where(truth > 0, self.positive_weight, 1.0)
        return self.alpha * (loss * weights).mean()


class CrossEntropy(nn.Module):
    """Cross-entropy of a logit for each class; of two classes it is `BinaryLoss` of the difference.

    Args:
        class_weights: One weight a class, such as `class_weights` gives; None weighs all alike. A
            film's loss is multiplied by the weight of its class, and the mean is over films, so
            that weights of mean 1 over the training films leave the learning rate as it is.
        gamma: Focusing exponent; 0 is plain cross-entropy, 2 the usual focal loss.
        label_smoothing: The share of a target that all classes get alike; 0 to less than 1.

    References:
        As of `BinaryLoss`.
    """

    class_weights: torch.Tensor | None

    def __init__(
        self,
        *,
        class_weights: Sequence[float] | None = None,
        gamma: float = 0.0,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        _check(gamma, label_smoothing, class_weights or [])
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        weights = None if class_weights is None else torch.tensor(list(class_weights)).float()
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss.

        Args:
            logits: (batch, classes), any real numbers.
            labels: (batch,) or (batch, 1), index of the class.

        Returns:
            A scalar of at least 0.

        Raises:
            ConfigurationError: If there are not as many weights as logits.
        """
        truth = labels.reshape(-1).long()
        log_probability = functional.log_softmax(logits.float(), dim=1)
        own = log_probability.gather(1, truth[:, None])[:, 0]
        smoothing = self.label_smoothing
        loss = -(1 - smoothing) * own - smoothing * log_probability.mean(dim=1)
        if self.gamma:
            target = 1 - smoothing + smoothing / logits.shape[1]
            loss = loss * (target - own.exp()).abs().pow(self.gamma)
        if self.class_weights is not None:
            if len(self.class_weights) != logits.shape[1]:
                raise ConfigurationError(
                    Reason.CONFIGURATION,
                    f"expected {logits.shape[1]} class weights for a network with as many outputs, "
                    f"got {len(self.class_weights)}; give one for each class",
                )
            loss = loss * self.class_weights.to(loss.device)[truth]
        return loss.mean()


def class_weights(data: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> list[float]:
    """Weigh classes by the inverse of how many films they have, with mean 1 over the films.

    Args:
        data: Training films with a `label` each.
        classes: Class names in order.

    Returns:
        One weight a class: films / (classes * films of the class); 1 for a class without films.
    """
    counts = np.bincount([int(item["label"]) for item in data], minlength=len(classes))
    return [len(data) / (len(classes) * int(n)) if n else 1.0 for n in counts]


def positive_weight(data: Sequence[Mapping[str, Any]]) -> float:
    """Weigh positive films so that both classes count alike: negative films / positive films.

    Args:
        data: Training films with a `label` each, 0 or 1.

    Returns:
        The weight for `BinaryLoss`; 1 where a class has no films.
    """
    positive = sum(int(item["label"]) for item in data)
    negative = len(data) - positive
    return negative / positive if positive and negative else 1.0


def _check(gamma: float, label_smoothing: float, weights: Sequence[float]) -> None:
    if gamma < 0 or not 0 <= label_smoothing < 1 or not all(w > 0 for w in weights):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected gamma of at least 0, label_smoothing from 0 to below 1 and weights above 0, "
            f"got {gamma}, {label_smoothing} and {', '.join(map(str, weights)) or 'no weights'}",
        )
