"""Explanations of what a classifier said, by one method or by two that check each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import nn

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.explanation_pictures import Plane
from pipelines.nearest import right_names
from pipelines.networks.grad_cam import Heat, coarse_grad_cam, enlarged
from pipelines.networks.occlusion import agreement, cover_hottest, occlusion, occlusion_heat


class Method(StrEnum):
    """How it is found where a classifier looked."""

    GRADCAM = "gradcam"
    OCCLUSION = "occlusion"
    BOTH = "both"

    @property
    def in_words(self) -> str:
        """For people and for `summary.json`."""
        titles = {"gradcam": "Grad-CAM", "occlusion": "occlusion"}
        return titles.get(self.value, "Grad-CAM and occlusion")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a classifier looked on one film.

    Attributes:
        heats: Maps at the size of the network's picture, by what they are.
        agreement: Of two methods, rank correlation, -1 to 1; None for one, or where a map is flat.
        note: What covering the hottest part does; empty for Grad-CAM alone.
    """

    heats: dict[str, Plane]
    agreement: float | None
    note: str


def method_of(name: str) -> Method:
    """Return the method of a name.

    Args:
        name: `gradcam`, `occlusion` or `both`.

    Raises:
        ConfigurationError: If there is no such method.
    """
    if name not in tuple(Method):
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected the name of a method, got {name!r}{right_names(name, tuple(Method))}",
        )
    return Method(name)


def explain(
    network: nn.Module,
    images: torch.Tensor,
    *,
    target: Sequence[int],
    method: Method = Method.GRADCAM,
    layer: str | None = None,
) -> list[Explanation]:
    """Explain what was said of films.

    Args:
        network: As of `grad_cam`.
        images: float32, (n, channel, height, width), as the network sees them.
        target: The class of each film.
        method: How.
        layer: As of `grad_cam`.

    Returns:
        An explanation a film.

    Raises:
        ConfigurationError: If there is no such layer or class.
    """
    size = (images.shape[-2], images.shape[-1])
    maps: dict[str, torch.Tensor] = {}
    heats: dict[str, Heat] = {}
    if method is not Method.OCCLUSION:
        found = coarse_grad_cam(network, images, target=target, layer=layer)
        # A map of six by six places enlarged to a film looks finer than it is.
        name = f"Grad-CAM, {found.shape[1]} x {found.shape[2]} places"
        maps[name], heats[name] = found, enlarged(found, size)
    if method is not Method.GRADCAM:
        found = occlusion(network, images, target=target)
        name = f"Occlusion, {found.shape[1]} x {found.shape[2]} places"
        maps[name], heats[name] = found, occlusion_heat(found, size)
    agreed: list[float | None] = [None] * len(images)
    if method is Method.BOTH:
        agreed = agreement(*maps.values())
    explained = []
    for place, (image, each) in enumerate(zip(images, target, strict=True)):
        of_film = {name: heat[place] for name, heat in heats.items()}
        note = ""
        if method is not Method.GRADCAM:
            note = _note(
                network, image, next(iter(of_film.values())), target=each, agreed=agreed[place]
            )
        explained.append(Explanation(of_film, agreed[place], note))
    return explained


def _note(
    network: nn.Module, image: torch.Tensor, heat: Plane, *, target: int, agreed: float | None
) -> str:
    covered = cover_hottest(network, image, heat, target=target)
    said = "" if agreed is None else f"Rank correlation of both: {agreed:.2f}. "
    return (
        f"{said}With the hottest fifth covered the probability, before calibration, goes from "
        f"{covered.before:.1%} to {covered.hottest:.1%}, with as much elsewhere to "
        f"{covered.elsewhere:.1%}."
    )
