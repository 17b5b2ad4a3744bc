"""Losses for one logit."""

import torch
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason


class BinaryLoss(nn.Module):
    """Binary cross-entropy of one logit, with label smoothing and focal weighting by choice.

    Args:
        gamma: Focusing exponent; 0 is plain cross-entropy, 2 the usual focal loss.
        label_smoothing: Targets become `smoothing / 2` and `1 - smoothing / 2`; 0 to less than 1.
        positive_weight: Weight of positive films; 1 with class-balanced sampling.

    References:
        Lin et al., Focal loss for dense object detection, ICCV 2017; Szegedy et al., Rethinking the
        Inception architecture, CVPR 2016, section 7.
    """

    def __init__(
        self, *, gamma: float = 0.0, label_smoothing: float = 0.0, positive_weight: float = 1.0
    ) -> None:
        super().__init__()
        if gamma < 0 or not 0 <= label_smoothing < 1 or positive_weight <= 0:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected gamma of at least 0, label_smoothing from 0 to below 1 and "
                f"positive_weight above 0, got {gamma}, {label_smoothing} and {positive_weight}",
            )
        self.gamma = gamma
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
        return (loss * weights).mean()
