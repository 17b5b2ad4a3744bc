"""The mean of a number over the batches of an epoch, which every process of a run knows."""

from typing import Any

from ignite.exceptions import NotComputableError
from ignite.metrics import Metric


class RunMean(Metric):
    """Mean over batches of a number that is the same in every process.

    ignite's own `Average` would ask the other processes for theirs, also when its state is kept.
    """

    def reset(self) -> None:
        """Forget all batches."""
        self._sum, self._batches = 0.0, 0

    def update(self, output: float) -> None:
        """Add the number of a batch."""
        self._sum += output
        self._batches += 1

    def compute(self) -> float:
        """Return the mean.

        Raises:
            NotComputableError: If there was no batch.
        """
        if not self._batches:
            raise NotComputableError("expected at least one batch, got none")
        return self._sum / self._batches

    def state_dict(self) -> dict[str, Any]:
        """Return what a mean that goes on later needs."""
        return {"sum": self._sum, "batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._sum, self._batches = float(state["sum"]), int(state["batches"])
