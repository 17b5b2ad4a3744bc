"""A running average of the weights, which is what is validated and shipped."""

from typing import TypeAlias

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from pipelines.errors import ConfigurationError, Reason

Tensors: TypeAlias = tuple[torch.Tensor, ...] | list[torch.Tensor]

_START = 10


def build_average(network: nn.Module, *, decay: float) -> AveragedModel:
    """Return a copy of `network` that follows it with exponential decay.

    The average begins short: after n steps the share of the old average is at most
    (1 + n) / (10 + n), so that random first weights are forgotten as training goes on and not a
    fixed number of steps later. Batch-norm statistics are averaged with the weights.

    Args:
        network: The network in training.
        decay: Largest share of the old average kept at each step, 0 (follow at once) to below 1.

    Raises:
        ConfigurationError: If `decay` is out of its range.

    References:
        Polyak and Juditsky, SIAM J. Control Optim. 30 (1992); Tarvainen and Valpola, NeurIPS 2017.
    """
    if not 0 <= decay < 1:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected a decay from 0 to below 1, got {decay}"
        )

    @torch.no_grad()
    def follow(averaged: Tensors, current: Tensors, steps: torch.Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(steps)) / (_START + int(steps)))
        for old, new in zip(averaged, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new, share)
            else:
                old.copy_(new)  # a count of batches, not a weight

    average = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    return average.eval()
