"""Scores of a validation pass over masks, summed film by film, so that no mask is kept."""

from typing import Any

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric

_EPSILON = 1e-4


class LayerDice(Metric):
    """Mean over films of the mean over channels of the Dice coefficient, decided at logit 0.

    Dice is (2 I + 1e-4) / (A + B + 1e-4), with I the pixels that both have, A and B those of each:
    a channel that is empty in both counts 1. Computed at the size of the network's output.
    """

    def __init__(self) -> None:
        super().__init__(output_transform=_logits_and_layers)

    def reset(self) -> None:
        """Forget all films."""
        self._sum, self._films = 0.0, 0

    def update(self, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Add a batch.

        Args:
            output: Logits and labels (0 or 1), both (batch, channel, height, width).
        """
        decided, label = output[0] > 0, output[1] > 0
        both = (decided & label).sum((2, 3), dtype=torch.int64).double()
        either = (decided.sum((2, 3)) + label.sum((2, 3))).double()
        dice = (2 * both + _EPSILON) / (either + _EPSILON)
        self._sum += float(dice.mean(1).sum())
        self._films += len(dice)

    def compute(self) -> float:
        """Return the mean, 0 to 1.

        Raises:
            NotComputableError: If there was no film.
        """
        if not self._films:
            raise NotComputableError("expected at least one film, got none")
        return self._sum / self._films


def _logits_and_layers(output: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return output["pred"], output["label"]
