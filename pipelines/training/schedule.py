"""The learning rate in the course of a run: by how far it is, or by how well it does."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names


class Schedule(Protocol):
    """Sets an optimizer's learning rates; the trainer tells it how far the run is."""

    def update(self, progress: float) -> None:
        """Set the rates for `progress`, 0 (start) to 1 (end); called before every batch."""

    def validated(self, metrics: Mapping[str, float]) -> None:
        """Take note of the metrics of a validation."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""


class WarmupCosine:
    """Rise linearly from near 0, then fall along half a cosine.

    The rate is a function of progress alone: a run that goes on after a kill, or with other
    `max_epochs`, needs no stored state.

    Args:
        optimizer: Its groups' learning rates at the time of construction are the highest ones.
        warmup: Share of the run in which the rate rises, 0 to less than 1.
        final: Rate at the end, as a share of the highest.

    References:
        Loshchilov and Hutter, SGDR, ICLR 2017; Goyal et al., arXiv:1706.02677 (warm-up).
    """

    def __init__(self, optimizer: Optimizer, *, warmup: float = 0.15, final: float = 0.01) -> None:
        if not 0 <= warmup < 1 or not 0 <= final <= 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected warmup from 0 to below 1 and final from 0 to 1, got "
                f"{warmup} and {final}",
            )
        self.optimizer = optimizer
        self.warmup = warmup
        self.final = final
        self.highest = [float(group["lr"]) for group in optimizer.param_groups]

    def factor(self, progress: float) -> float:
        """Return the share of the highest rate at `progress`, 0 (start) to 1 (end)."""
        if progress < self.warmup:
            return self.final + (1 - self.final) * progress / self.warmup
        falling = (progress - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(falling, 1.0))) / 2

    def update(self, progress: float) -> None:
        """Set the optimizer's rates for `progress`, 0 to 1."""
        for group, highest in zip(self.optimizer.param_groups, self.highest, strict=True):
            group["lr"] = highest * self.factor(progress)

    def validated(self, metrics: Mapping[str, float]) -> None:
        """Nothing follows from a validation."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the rate is a function of progress."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing."""


class ReduceOnPlateau:
    """Lower the rate when a validation metric has not improved for some validations.

    PyTorch's `ReduceLROnPlateau` behind the trainer's way of asking.

    Args:
        optimizer: Its groups' learning rates at the time of construction are the first ones.
        metric: Which metric of the evaluator counts, such as `val_accuracy`; higher is better.
        factor: What the rate is multiplied with, above 0 and below 1.
        patience: Validations without improvement that are waited for.
        lowest: The rate does not fall below this.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        metric: str = "val_accuracy",
        factor: float = 0.1,
        patience: int = 3,
        lowest: float = 1e-7,
    ) -> None:
        if not 0 < factor < 1 or patience < 0:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected factor between 0 and 1 and patience of at least 0, got "
                f"{factor} and {patience}",
            )
        self.optimizer = optimizer
        self.metric = metric
        self._plateau = ReduceLROnPlateau(
            optimizer, mode="max", factor=factor, patience=patience, min_lr=lowest
        )

    def update(self, progress: float) -> None:
        """Nothing follows from progress."""

    def validated(self, metrics: Mapping[str, float]) -> None:
        """Compare the metric with the best one so far.

        Raises:
            ConfigurationError: If there is no such metric.
        """
        if self.metric not in metrics:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"expected a metric of the validation, got {self.metric!r}"
                f"{right_names(self.metric, metrics)}",
            )
        self._plateau.step(metrics[self.metric])

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and how long ago it was; the rates stand in the optimizer's."""
        return {
            "best": float(self._plateau.best),
            "waited": self._plateau.num_bad_epochs,
            "last_epoch": self._plateau.last_epoch,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._plateau.best = state["best"]
        self._plateau.num_bad_epochs = state["waited"]
        self._plateau.last_epoch = state["last_epoch"]
