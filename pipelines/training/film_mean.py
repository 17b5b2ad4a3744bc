"""The mean over films of whatever a network's answer to each of them is worth."""

from typing import Any

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric

from pipelines.training.ranks import ranks


class FilmMean(Metric):
    """Mean over films, those of other processes among them, of one value a film."""

    def __init__(self) -> None:
        super().__init__(output_transform=_answer_and_truth)

    def reset(self) -> None:
        """Forget all films."""
        self._sum, self._films = 0.0, 0

    def update(self, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Add a batch.

        Args:
            output: What the network gave and the labels, both (batch, channel, height, width).
        """
        if not len(output[0]):
            return
        values = self.values(*output)
        self._sum += float(values.double().sum())
        self._films += len(values)

    def values(self, answer: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return one value a film, (batch,)."""
        raise NotImplementedError

    def compute(self) -> float:
        """Return the mean.

        Raises:
            NotComputableError: If there was no film.
        """
        total, films = ranks().total([self._sum, self._films])
        if not films:
            raise NotComputableError("expected at least one film, got none")
        return total / films


def _answer_and_truth(output: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return output["pred"], output["label"]
