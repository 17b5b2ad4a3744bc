"""Where a classifier looked: gradient-weighted class activation maps (Selvaraju et al. 2017)."""

import copy
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.inference.engine import TorchEngine
from pipelines.inference.output import output_errors
from pipelines.inference.prepared import PreparedFilm
from pipelines.ingest.read import read_radiograph
from pipelines.nearest import right_names
from pipelines.predictions import Classification
from pipelines.results.explanations import write_explanation
from pipelines.transforms.geometry import resize_area

Heat: TypeAlias = npt.NDArray[np.float32]
"""float32, 0 to 1, (n, height, width)."""

Record = TypeVar("Record")

_IMAGE_AXES = 4  # batch, channel, height, width
_log = logging.getLogger(__name__)


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
    device = next(network.parameters()).device
    with (
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        _evaluating(network),
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
        (gradient,) = torch.autograd.grad(_scores(logits.float(), target).sum(), features)
    weights = gradient.mean((2, 3), keepdim=True)
    maps = (weights * features.detach()).sum(1, keepdim=True).relu()
    maps = functional.interpolate(maps, size=images.shape[-2:], mode="bilinear")
    strongest = maps.amax((1, 2, 3), keepdim=True)
    heat: Heat = (maps / strongest.clamp_min(torch.finfo(maps.dtype).tiny))[:, 0].cpu().numpy()
    return heat


class Explainer:
    """Write a picture of where the network looked, for each film that was classified.

    The picture stands in `explanations/` under the name of the film. It explains the class that
    was called, on the film as it is, without test-time augmentation.

    Args:
        engine: The engine whose network is explained. A copy of it is used, since other batches
            may run at the same time.
        output_dir: Output folder of the prediction.
        layer: As in `grad_cam`.
        enabled: Whether any picture is written.
    """

    folder = "explanations"

    def __init__(
        self,
        engine: TorchEngine,
        output_dir: str | Path,
        *,
        layer: str | None = None,
        enabled: bool = True,
    ) -> None:
        self._enabled = enabled
        self._engine = engine
        self._output = Path(output_dir) / self.folder
        self._layer = layer
        self._lock = threading.Lock()

    def about(self) -> Mapping[str, object]:
        """Say what the pictures show, for `summary.json`."""
        if not self._enabled:
            return {"explanations": None}
        return {"explanations": "Grad-CAM", "explained_layer": self._layer or "last feature map"}

    def __call__(
        self, films: Sequence[PreparedFilm], records: Sequence[Record]
    ) -> Sequence[Record]:
        """Write the picture of each film that was classified.

        Args:
            films: Films of one shape.
            records: What was predicted, in the same order; refusals and others are passed over.

        Returns:
            The records, as they are.

        Raises:
            RunError: OUTPUT_UNWRITABLE if a picture cannot be written.
        """
        classified = [
            (film, record)
            for film, record in zip(films, records, strict=True)
            if isinstance(record, Classification)
        ]
        if classified and self._enabled:
            images = torch.stack([film.image for film, _ in classified])
            classes = [record.predicted_class for _, record in classified]
            with self._lock:
                heat = grad_cam(self._network, images, target=classes, layer=self._layer)
            for (film, record), warmth in zip(classified, heat, strict=True):
                self._write(film, record, warmth)
        return records

    @cached_property
    def _network(self) -> nn.Module:
        # What was loaded in inference mode has no gradients; a copy made outside of it has.
        with torch.inference_mode(mode=False):
            return copy.deepcopy(self._engine.load())

    def _write(self, film: PreparedFilm, record: Classification, warmth: Heat) -> None:
        try:
            original = read_radiograph(film.item.path, frame=film.item.frame).pixels
        except PlainfilmError as error:  # it was read a moment ago, so it has just been removed
            _log.warning("no explanation of %r: %s", film.filename, error)
            return
        if film.placement is None:
            height, width = original.shape[1:]
            on_film = resize_area(warmth[None], height=height, width=width)[0]
        else:
            on_film = film.placement.to_film(warmth[None])[0]
        title = f"{record.predicted_label} {record.confidence:.1%}"
        if record.out_of_distribution:
            title += ", but unlike the training films"
        with output_errors():
            write_explanation(
                self._output / film.picture_name,
                original,
                on_film,
                title=title,
                filename=film.filename,
            )


def _scores(logits: torch.Tensor, target: int | Sequence[int] | None) -> torch.Tensor:
    # What speaks for the class of each image.
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
def _evaluating(network: nn.Module) -> Iterator[None]:
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
