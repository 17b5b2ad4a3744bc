"""A running average of the weights, which is what is validated and shipped."""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipelines.errors import ConfigurationError, Reason


def build_average(network: nn.Module, *, decay: float) -> AveragedModel:
    """Return a copy of `network` that follows it with exponential decay.

    Batch-norm statistics are averaged with the weights.

    Args:
        network: The network in training.
        decay: Share of the old average kept at each step, 0 (follow at once) to less than 1.

    Raises:
        ConfigurationError: If `decay` is out of its range.

    References:
        Polyak and Juditsky, SIAM J. Control Optim. 30 (1992); Tarvainen and Valpola, NeurIPS 2017.
    """
    if not 0 <= decay < 1:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected a decay from 0 to below 1, got {decay}"
        )
    follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    return average.eval()
