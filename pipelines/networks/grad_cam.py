"""Where a classifier looked: gradient-weighted class activation maps (Selvaraju et al. 2017)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names

Heat: TypeAlias = npt.NDArray[np.float32]
"""float32, 0 to 1, (n, height, width)."""

_IMAGE_AXES = 4  # batch, channel, height, width


def grad_cam(
    network: nn.Module,
    images: torch.Tensor,
    *,
    target: int | Sequence[int] | None = None,
    layer: str | None = None,
) -> Heat:
    """Return how much each place of an image spoke for a class.

    The network runs in float32 and in eval mode, and is left as it was. It must not be used by
    another thread meanwhile.

    Args:
        network: From (n, channel, height, width) to (n, 1), log odds of class 1 against class 0,
            or to (n, classes).
        images: float32, (n, channel, height, width), as the network sees them.
        target: The class to explain, or one for each image; None explains the predicted class,
            which for one logit is the side of 0 that it lies on.
        layer: Name of the module whose output, (n, channel, h, w), is looked at; None takes what
            goes into the last global average pooling: the last feature map.

    Returns:
        float32, (n, height, width), bilinearly enlarged; 1 at the strongest place of each image,
        and 0 everywhere where nothing speaks for the class.

    Raises:
        ConfigurationError: If there is no such layer or class.
    """
    maps = coarse_grad_cam(network, images, target=target, layer=layer)
    return enlarged(maps, (images.shape[-2], images.shape[-1]))


def coarse_grad_cam(
    network: nn.Module,
    images: torch.Tensor,
    *,
    target: int | Sequence[int] | None = None,
    layer: str | None = None,
) -> torch.Tensor:
    """Return the maps of `grad_cam` as they are, before they are enlarged.

    Args:
        network: As of `grad_cam`.
        images: As of `grad_cam`.
        target: As of `grad_cam`.
        layer: As of `grad_cam`.

    Returns:
        float32, (n, h, w) of the layer, at least 0, on the CPU.

    Raises:
        ConfigurationError: If there is no such layer or class.
    """
    device = next(network.parameters()).device
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        evaluating(network),
        _kept_features(network, layer) as kept,
    ):
        logits = network(images.to(device).float().clone())
        if not kept or kept[-1].dim() != _IMAGE_AXES:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a layer whose output is (batch, channel, height, width), got {layer!r}; "
                "name one of the last convolutions",
            )
        features = kept[-1]
        (gradient,) = torch.autograd.grad(class_scores(logits.float(), target).sum(), features)
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * features.detach()).sum(1).relu().cpu()


def enlarged(maps: torch.Tensor, size: tuple[int, int]) -> Heat:
    """Enlarge maps bilinearly and bring the strongest place of each to 1.

    Args:
        maps: float32, (n, h, w), at least 0.
        size: Height and width.

    Returns:
        float32, (n, height, width), 0 to 1; a map without anything above 0 stays 0.
    """
    large = functional.interpolate(maps[:, None], size=size, mode="bilinear")
    strongest = large.amax((1, 2, 3), keepdim=True)
    heat: Heat = (large / strongest.clamp_min(torch.finfo(large.dtype).tiny))[:, 0].numpy()
    return heat


def class_scores(logits: torch.Tensor, target: int | Sequence[int] | None) -> torch.Tensor:
    """Return what speaks for the class of each image.

    Args:
        logits: (n, 1) or (n, classes).
        target: As of `grad_cam`.

    Returns:
        (n,): the logit of the class; of one logit, that with the sign of the class.

    Raises:
        ConfigurationError: If there is no such class.
    """
    count, outputs = logits.shape
    one = outputs == 1
    classes = 2 if one else outputs
    if target is None:
        chosen = (logits[:, 0] >= 0).long() if one else logits.argmax(1)
    else:
        listed = [target] * count if isinstance(target, int) else list(target)
        if len(listed) != count or not all(0 <= each < classes for each in listed):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected classes from 0 to {classes - 1}, one for each of {count} images, got "
                f"{target!r}",
            )
        chosen = torch.tensor(listed, device=logits.device)
    if one:
        return logits[:, 0] * (2 * chosen - 1)
    return logits.gather(1, chosen[:, None])[:, 0]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into eval mode, and what was being trained back when the block ends.

    Args:
        network: The network.

    Yields:
        Nothing; the block uses the network.
    """
    trained = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in trained:
            module.training = True


@contextmanager
def _kept_features(network: nn.Module, layer: str | None) -> Iterator[list[torch.Tensor]]:
    """Keep what a layer gives, as the beginning of its own graph; later layers get a copy.

    The graph begins there since gradients are needed no further down; the copy keeps layers that
    work in place from changing what was kept.
    """
    kept: list[torch.Tensor] = []

    def keep(features: torch.Tensor) -> torch.Tensor:
        kept.append(features.detach().requires_grad_())
        return kept[-1].clone()

    handle = _hook(network, layer, keep)
    try:
        yield kept
    finally:
        handle.remove()


def _hook(
    network: nn.Module, layer: str | None, keep: Callable[[torch.Tensor], torch.Tensor]
) -> torch.utils.hooks.RemovableHandle:
    modules = dict(network.named_modules())
    if layer is not None:
        if layer not in modules:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"{type(network).__name__} has no layer {layer!r}{right_names(layer, modules)}",
            )
        handle = modules[layer].register_forward_hook(lambda _layer, _inputs, output: keep(output))
        return cast("torch.utils.hooks.RemovableHandle", handle)
    pools = [each for each in modules.values() if isinstance(each, nn.AdaptiveAvgPool2d)]
    if not pools:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a network with a global average pooling, got {type(network).__name__}; "
            "name the layer to look at",
        )
    return pools[-1].register_forward_pre_hook(lambda _layer, inputs: keep(inputs[0]))
