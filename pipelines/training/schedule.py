"""A learning rate that depends on how far the run is, and on nothing else."""

import math

from torch.optim import Optimizer

from pipelines.errors import ConfigurationError, Reason


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
