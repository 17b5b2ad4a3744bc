"""Scores of a validation pass over masks, summed film by film, so that no mask is kept."""

import torch

from pipelines.training.film_mean import FilmMean

_EPSILON = 1e-4


class LayerDice(FilmMean):
    """Mean over films of the mean over channels of the Dice coefficient, decided at logit 0.

    Dice is (2 I + 1e-4) / (A + B + 1e-4), with I the pixels that both have, A and B those of each:
    a channel that is empty in both counts 1. Computed at the size of the network's output.
    """

    def values(self, answer: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the mean Dice over the channels of each film, 0 to 1.

        Args:
            answer: Logits, (batch, channel, height, width).
            truth: Labels, 0 or 1, of the same shape.

        Returns:
            float64, (batch,).
        """
        decided, label = answer > 0, truth > 0
        both = (decided & label).sum((2, 3), dtype=torch.int64).double()
        either = (decided.sum((2, 3)) + label.sum((2, 3))).double()
        dice: torch.Tensor = (2 * both + _EPSILON) / (either + _EPSILON)
        return dice.mean(1)
