"""Where a classifier looked, without its gradients: cover a place and see what the answer loses.

Occlusion sensitivity (Zeiler and Fergus 2014) looks at what goes in and what comes out alone, so it
holds for any network, and checks maps that are made from the inside of one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from pipelines.networks.grad_cam import Heat, class_scores, enlarged, evaluating

GRID = 10
"""Places in a row and in a column."""
HOTTEST = 0.2
"""Share of the film that counts as the hottest part of a map."""

_AT_ONCE = 16
_ELSEWHERE = 8


@dataclass(frozen=True, slots=True)
class Covered:
    """What covering a part of a film does to the probability of the class that was called.

    Attributes:
        before: With nothing covered, before calibration, 0 to 1.
        hottest: With the hottest fifth of the map covered.
        elsewhere: With the same shape moved to other places, on average.
    """

    before: float
    hottest: float
    elsewhere: float


def occlusion(network: nn.Module, images: torch.Tensor, *, target: Sequence[int]) -> torch.Tensor:
    """Return how much the score of a class falls where an image is covered.

    Each place is a cell of a grid of ten by ten; what covers it reaches half a cell further on each
    side and is the image's mean. Network, mode and precision are as of `grad_cam`.

    Args:
        network: As of `grad_cam`.
        images: float32, (n, channel, height, width).
        target: The class of each image.

    Returns:
        float32, (n, 10, 10), the fall of the logit, 0 where it does not fall; on the CPU.
    """
    height, width = images.shape[-2:]
    masks = torch.stack(
        [
            _patch(row, column, height=height, width=width)
            for row in range(GRID)
            for column in range(GRID)
        ]
    )
    falls = []
    for image, each in zip(images, target, strict=True):
        whole = _scores(network, image[None], each)
        falls.append((whole - _scores(network, _cover(image, masks), each)).relu())
    return torch.stack(falls).reshape(len(images), GRID, GRID)


def occlusion_heat(falls: torch.Tensor, size: tuple[int, int]) -> Heat:
    """Bring what `occlusion` gives to the size of the images, 1 at the strongest place of each."""
    return enlarged(falls, size)


def agreement(maps: torch.Tensor, others: torch.Tensor) -> list[float | None]:
    """Return how far two kinds of maps agree on which places matter more.

    Args:
        maps: (n, h, w), of any size.
        others: (n, h, w), of any size.

    Returns:
        Spearman's rank correlation over ten by ten places for each image, -1 to 1; None where one
        of both says the same of all places.
    """
    from scipy.stats import spearmanr

    first, second = (
        functional.interpolate(each[:, None], size=(GRID, GRID), mode="bilinear").flatten(1).numpy()
        for each in (maps, others)
    )
    return [
        None if _is_flat(one) or _is_flat(other) else float(spearmanr(one, other).statistic)
        for one, other in zip(first, second, strict=True)
    ]


def cover_hottest(
    network: nn.Module, image: torch.Tensor, heat: npt.NDArray[np.float32], *, target: int
) -> Covered:
    """Cover the hottest fifth of a map, and the same shape elsewhere.

    A map that shows what the answer rests on lowers the probability more than other places do.

    Args:
        network: As of `grad_cam`.
        image: float32, (channel, height, width).
        heat: 0 to 1, (height, width).
        target: The class that was called.

    Returns:
        The probabilities.
    """
    hot = torch.from_numpy(heat >= np.quantile(heat, 1 - HOTTEST))
    random = np.random.default_rng(0)
    height, width = heat.shape
    moved = [
        hot.roll((int(random.integers(height)), int(random.integers(width))), dims=(0, 1))
        for _ in range(_ELSEWHERE)
    ]
    masks = torch.stack([torch.zeros_like(hot), hot, *moved])
    chances = _probabilities(network, _cover(image, masks), target).tolist()
    return Covered(chances[0], chances[1], float(np.mean(chances[2:])))


def _is_flat(values: npt.NDArray[np.float32]) -> bool:
    return bool(np.ptp(values) <= np.abs(values).max() * np.float32(1e-5))


def _patch(row: int, column: int, *, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(height, width, dtype=torch.bool)
    rows, columns = (
        slice(max(0, round((place - 0.5) * side / GRID)), round((place + 1.5) * side / GRID))
        for place, side in ((row, height), (column, width))
    )
    mask[rows, columns] = True
    return mask


def _cover(image: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Give the image once a mask, (masks, channel, height, width), its mean where it is covered."""
    mean = image.mean((1, 2), keepdim=True)
    return torch.where(masks[:, None], mean, image)


def _logits(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    device = next(network.parameters(), torch.empty(0)).device  # an exported one has none
    with torch.inference_mode(), torch.autocast(device.type, enabled=False), evaluating(network):
        parts = [network(part.to(device).float()).float() for part in torch.split(images, _AT_ONCE)]
    return torch.cat(parts).cpu()


def _scores(network: nn.Module, images: torch.Tensor, target: int) -> torch.Tensor:
    return class_scores(_logits(network, images), target)


def _probabilities(network: nn.Module, images: torch.Tensor, target: int) -> torch.Tensor:
    logits = _logits(network, images)
    if logits.shape[1] == 1:
        return class_scores(logits, target).sigmoid()
    return logits.softmax(1)[:, target]
