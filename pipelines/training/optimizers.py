"""Optimizers by name, so that a setting and not another class tells them apart."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Literal, TypeAlias

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names

OptimizerName: TypeAlias = Literal["adam", "adamw", "sgd"]

_MOMENTUM = 0.9

_MAKERS: Mapping[str, Callable[..., Optimizer]] = {
    # All weights of a step in one kernel: a quarter of the time on a CPU.
    "adam": partial(Adam, fused=True),
    "adamw": partial(AdamW, fused=True),
    "sgd": partial(SGD, momentum=_MOMENTUM, nesterov=True),
}


def build_optimizer(
    params: Iterable[nn.Parameter],
    *,
    name: OptimizerName = "adamw",
    lr: float,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Return an optimizer over parameters.

    Args:
        params: What is optimized.
        name: `adam` (weight decay as part of the gradient), `adamw` (weight decay apart from it),
            or `sgd` (Nesterov momentum 0.9).
        lr: The highest learning rate, above 0. What suits `adamw` is about a twentieth of what
            suits `sgd`.
        weight_decay: At least 0.

    Raises:
        ConfigurationError: If there is no such optimizer, or a number is out of its range.

    References:
        Kingma and Ba, ICLR 2015; Loshchilov and Hutter, Decoupled weight decay, ICLR 2019;
        Sutskever et al., On the importance of initialization and momentum, ICML 2013.
    """
    if name not in _MAKERS:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME, f"no optimizer named {str(name)!r}{right_names(name, _MAKERS)}"
        )
    if not lr > 0 or not weight_decay >= 0:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected a learning rate above 0 and a weight decay of at least 0, "
            f"got {lr} and {weight_decay}",
        )
    return _MAKERS[name](params, lr=lr, weight_decay=weight_decay)
