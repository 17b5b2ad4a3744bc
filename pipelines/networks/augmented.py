"""Test-time augmentation: show a network each film in several views and average what it says.

What is averaged are the network's outputs as they are, logits as a rule: their mean is the
geometric mean of the odds, and one threshold and one calibration serve it as they serve a single
view. Outputs (batch, channel, height, width) are maps: each is turned back before it is added.
All others belong to the film as a whole and stay as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import torch
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason
from pipelines.networks.full_precision import needs_full_precision

_MAP_AXES = 4
_SQUARE_ANGLE = 90
_PAIR = 2


class Flip(StrEnum):
    """A mirror image."""

    LEFT_RIGHT = "left_right"
    UP_DOWN = "up_down"


class AugmentedInferer:
    """Average a network's output over a film and its flipped and turned views.

    It is called as MONAI's inferers are, and is none by its class: to import that class takes as
    long as to predict a film. The film itself is always among the views; each flip and each
    rotation adds one, at the cost of one more run of the network. Memory grows by one output,
    however many views there are.

    Args:
        flips: `left_right`, `up_down`.
        rotations: Degrees, counter-clockwise; multiples of 90 move pixels exactly, others
            interpolate, with the film's darkest value around it. A map counts only where the
            turned film still showed the place.
        swap_channels: Pairs of output channels that trade places in a left-right mirror image,
            such as left and right lung.
        inferer: How the network is applied to each view; None calls it.

    Raises:
        ConfigurationError: If a flip is unknown, a rotation repeats the film, or a channel stands
            in two pairs.
    """

    def __init__(
        self,
        *,
        flips: Sequence[str] = (),
        rotations: Sequence[float] = (),
        swap_channels: Sequence[Sequence[int]] = (),
        inferer: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        self._views = (*map(_flip, flips), *map(_turn, rotations))
        self._swaps = _swaps(swap_channels)
        self._inferer = inferer

    @property
    def full_precision(self) -> bool:
        """Whether the inferer within asks for float32."""
        return needs_full_precision(self._inferer)

    def __call__(
        self,
        inputs: torch.Tensor,
        network: Callable[..., torch.Tensor],
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the mean of the outputs for all views.

        Args:
            inputs: Films, (batch, channel, height, width).
            network: Gives (batch, outputs), or maps (batch, channel, height, width).
            args: Handed on to the network.
            kwargs: Handed on to the network.

        Returns:
            float32, of the shape that the network gives for the films themselves.
        """
        total = self._run(inputs, network, *args, **kwargs).to(torch.float32, copy=True)
        count = torch.ones_like(total[:1, :1])
        for view in self._views:
            seen = view.show(inputs).contiguous(memory_format=torch.channels_last)
            self._add(self._run(seen, network, *args, **kwargs), view, total)
            count += view.coverage(count) if total.ndim == _MAP_AXES else 1
        return total.div_(count)

    def _run(
        self, films: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        if self._inferer is None:
            return network(films, *args, **kwargs)
        return self._inferer(films, network, *args, **kwargs)

    def _add(self, outputs: torch.Tensor, view: "_View", total: torch.Tensor) -> None:
        """Add outputs of a view channel by channel: 29 maps at full size are large enough once."""
        is_map = outputs.ndim == _MAP_AXES
        for channel in range(total.shape[1]):
            source = self._swaps.get(channel, channel) if view.mirrors else channel
            part = outputs[:, source : source + 1].float()
            total[:, channel : channel + 1] += view.undo(part) if is_map else part


class _View(Protocol):
    """One way to look at films, (batch, channel, height, width)."""

    @property
    def mirrors(self) -> bool:
        """Whether left and right trade places."""

    def show(self, films: torch.Tensor) -> torch.Tensor:
        """Return the films in this view."""

    def undo(self, maps: torch.Tensor) -> torch.Tensor:
        """Bring maps of this view back to the film; 0 where it showed nothing."""

    def coverage(self, like: torch.Tensor) -> torch.Tensor | int:
        """Return how much of each pixel it showed, 0 to 1."""


@dataclass(frozen=True)
class _Flipped:
    axis: int
    mirrors: bool

    def show(self, films: torch.Tensor) -> torch.Tensor:
        return films.flip(self.axis)

    def undo(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.flip(self.axis)

    def coverage(self, like: torch.Tensor) -> int:
        return 1


@dataclass(frozen=True)
class _SquareTurn:
    quarters: int
    mirrors: bool = False

    def show(self, films: torch.Tensor) -> torch.Tensor:
        return films.rot90(self.quarters, (-2, -1))

    def undo(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.rot90(-self.quarters, (-2, -1))

    def coverage(self, like: torch.Tensor) -> int:
        return 1


@dataclass(frozen=True)
class _FreeTurn:
    degrees: float
    mirrors: bool = False

    def show(self, films: torch.Tensor) -> torch.Tensor:
        darkest = films.amin(dim=(-2, -1), keepdim=True)
        return _turned(films - darkest, self.degrees) + darkest

    def undo(self, maps: torch.Tensor) -> torch.Tensor:
        return _turned(maps, -self.degrees)

    def coverage(self, like: torch.Tensor) -> torch.Tensor:
        return _turned(torch.ones_like(like), -self.degrees)


def _turned(planes: torch.Tensor, degrees: float) -> torch.Tensor:
    """Turn counter-clockwise about the middle, within the same frame; 0 comes in from outside."""
    height, width = planes.shape[-2:]
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    cosine, sine = float(angle.cos()), float(angle.sin())
    # From each new place to the old one, in units of half the sides.
    matrix = [[cosine, -sine * height / width, 0.0], [sine * width / height, cosine, 0.0]]
    grid = functional.affine_grid(
        planes.new_tensor([matrix]).expand(len(planes), -1, -1),
        [len(planes), 1, height, width],
        align_corners=False,
    )
    return functional.grid_sample(planes, grid, align_corners=False)


def _flip(name: str) -> _View:
    if name not in tuple(Flip):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected flips among {', '.join(Flip)}, got {name!r}; "
            "name each mirror image that the network shall see",
        )
    return _Flipped(axis=-1, mirrors=True) if name == Flip.LEFT_RIGHT else _Flipped(-2, False)


def _turn(degrees: float) -> _View:
    if isinstance(degrees, bool) or not isinstance(degrees, int | float) or not degrees % 360:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected rotations in degrees other than 0, got {degrees!r}; "
            "the film as it is always counts",
        )
    quarters, rest = divmod(degrees, _SQUARE_ANGLE)
    return _FreeTurn(float(degrees)) if rest else _SquareTurn(int(quarters))


def _swaps(pairs: Sequence[Sequence[int]]) -> dict[int, int]:
    swaps = dict(_both_ways(pairs))
    if len(swaps) != _PAIR * len(pairs) or any(len(pair) != _PAIR for pair in pairs):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected swap_channels as pairs of channels, each channel once, got {list(pairs)}; "
            "write them as [[0, 1]]",
        )
    return swaps


def _both_ways(pairs: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    for pair in pairs:
        yield pair[0], pair[-1]
        yield pair[-1], pair[0]
