"""Apply a network to films larger than it takes: window by window, with soft seams.

Windows, weights and seams are those of MONAI's `SlidingWindowInferer`, and so are the maps but for
rounding. What differs is how they are computed: on a CPU each core runs windows by itself, and what
comes out is added to the one output that there is, weighted so that nothing needs to be divided in
the end.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeAlias

import torch
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason
from pipelines.networks.device import usable_cores
from pipelines.networks.overlap import one_thread_an_operation, overlapped

Network: TypeAlias = Callable[..., torch.Tensor]
Size: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[slice, slice]
"""Rows and columns of a window."""

_WINDOWS_ELSEWHERE = 4
_SIGMA = 0.125  # of the window's side
_LEAST_WEIGHT = 1e-3


class SlidingWindow:
    """A sliding window with float32 seams and memory that stays at one output.

    With 29 maps of a film of 2048 x 2048 the stitched output takes 490 MB; it is there once, on
    `device`, which may be the host while the windows run on an accelerator.

    Args:
        roi_size: Height and width of a window in pixels, or one number for both. A film that is
            smaller is padded with 0.
        sw_batch_size: Windows that go through the network at once; None takes 1 on a CPU, where
            each core runs windows by itself, and 4 elsewhere.
        overlap: Share of a window that its neighbour covers too, 0 to below 1.
        mode: `gaussian` lets the middle of a window count more than its edges, `constant` lets all
            of it count alike.
        device: Where the output is stitched; None takes that of the films.
        sw_device: Where the windows go; None takes that of the films.

    Raises:
        ConfigurationError: If a size, the overlap or the mode is out of its range.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | int = 512,
        *,
        sw_batch_size: int | None = None,
        overlap: float = 0.25,
        mode: Literal["gaussian", "constant"] = "gaussian",
        device: torch.device | str | None = None,
        sw_device: torch.device | str | None = None,
    ) -> None:
        sides = [roi_size] * 2 if isinstance(roi_size, int) else list(roi_size)
        least = min([1 if sw_batch_size is None else sw_batch_size, *sides])
        if len(sides) != 2 or least < 1 or not 0 <= overlap < 1:  # noqa: PLR2004 - height and width
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a height and a width as roi_size and a sw_batch_size of at least 1 and "
                f"an overlap from 0 to below 1, got {roi_size}, {sw_batch_size} and {overlap}",
            )
        if mode not in {"gaussian", "constant"}:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected mode gaussian or constant, got {mode!r}"
            )
        self._window: Size = (sides[0], sides[1])
        self._at_once = sw_batch_size
        self._overlap = overlap
        self._mode = mode
        self._device = None if device is None else torch.device(device)
        self._sw_device = None if sw_device is None else torch.device(sw_device)

    def __call__(
        self, inputs: torch.Tensor, network: Network, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Return the stitched output of the network.

        Args:
            inputs: Films, (batch, channel, height, width).
            network: Gives maps of the size of a window.
            args: Handed on to the network.
            kwargs: Handed on to the network.

        Returns:
            float32, (batch, maps, height, width).

        Raises:
            ConfigurationError: If there is no film.
        """

        def applied(windows: torch.Tensor) -> torch.Tensor:
            return network(windows, *args, **kwargs)

        films, (top, left) = _padded(inputs, self._window)
        size = (films.shape[2], films.shape[3])
        places = list(_places(size, self._window, self._overlap))
        seams = _Seams.of(places, size, _weights(self._window, self._mode))
        stitched: torch.Tensor | None = None
        for (film, place), maps in self._run(films, places, applied):
            if stitched is None:
                target = self._device or inputs.device
                shape = (len(films), len(maps), *size)
                stitched = torch.zeros(shape, dtype=torch.float32, device=target)
            seams.add(stitched[film], maps, place)
        if stitched is None:
            raise ConfigurationError(
                Reason.CONFIGURATION, "expected one film or more, got an empty batch"
            )
        height, width = inputs.shape[2:]
        return stitched[:, :, top : top + height, left : left + width]

    def _run(
        self, films: torch.Tensor, places: Sequence[Place], network: Network
    ) -> Iterator[tuple[tuple[int, Place], torch.Tensor]]:
        """Run every window, those of a film in one order always; give its place and its maps."""
        where = self._sw_device or films.device
        on_cpu = where.type == "cpu"
        size = self._at_once or (1 if on_cpu else _WINDOWS_ELSEWHERE)
        todo = list(product(range(len(films)), places))
        groups = [todo[first : first + size] for first in range(0, len(todo), size)]
        modes = _Modes.here(where.type)

        def run(group: Sequence[tuple[int, Place]]) -> torch.Tensor:
            windows = torch.stack([films[film][:, *place] for film, place in group])
            with modes.entered():
                return network(windows.to(where))

        cores = min(usable_cores(), len(groups)) if on_cpu else 1
        with one_thread_an_operation(enabled=cores > 1):
            done = overlapped(run, groups, at_once=cores) if cores > 1 else map(run, groups)
            for group, outputs in zip(groups, done, strict=True):
                yield from zip(group, outputs, strict=True)


@dataclass(frozen=True, slots=True)
class _Modes:
    """What PyTorch keeps by thread: whether gradients are wanted, and autocast."""

    device: str
    inference: bool
    gradients: bool
    half: torch.dtype | None

    @classmethod
    def here(cls, device: str) -> "_Modes":
        enabled = torch.is_autocast_enabled(device)
        return cls(
            device,
            inference=torch.is_inference_mode_enabled(),
            gradients=torch.is_grad_enabled(),
            half=torch.get_autocast_dtype(device) if enabled else None,
        )

    def entered(self) -> ExitStack:
        """Return a context in which another thread computes as this one does."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode(self.inference))
        stack.enter_context(torch.set_grad_enabled(self.gradients))
        if self.half is not None:
            stack.enter_context(torch.autocast(self.device, dtype=self.half))
        return stack


@dataclass(frozen=True, slots=True, eq=False)
class _Seams:
    """How much each pixel of a window counts.

    Attributes:
        weights: (height, width) of a window.
        sums: (height, width) of the film: sum of the weights of the windows that cover a pixel.
    """

    weights: torch.Tensor
    sums: torch.Tensor

    @classmethod
    def of(cls, places: Sequence[Place], size: Size, weights: torch.Tensor) -> "_Seams":
        sums = torch.zeros(size)
        for place in places:
            sums[place] += weights
        return cls(weights, sums)

    def add(self, target: torch.Tensor, maps: torch.Tensor, place: Place) -> None:
        """Add the maps (channel, height, width) of a window to those of its film."""
        shares = (self.weights / self.sums[place]).to(target.device)
        # Map by map: half precision is widened where the processor's cache holds it.
        for channel, part in enumerate(maps.to(target.device)):
            target[channel, *place].addcmul_(part.float(), shares)


def _padded(films: torch.Tensor, window: Size) -> tuple[torch.Tensor, tuple[int, int]]:
    """Pad films to a window at least; say where they begin."""
    spare = [max(wanted - side, 0) for wanted, side in zip(window, films.shape[2:], strict=True)]
    top, left = (each // 2 for each in spare)
    if any(spare):
        films = functional.pad(films, (left, spare[1] - left, top, spare[0] - top))
    return films, (top, left)


def _places(size: Size, window: Size, overlap: float) -> Iterator[Place]:
    """Cover a film with windows, the last of each row and column at its edge."""
    axes = []
    for side, wide in zip(size, window, strict=True):
        step = max(int(wide * (1 - overlap)), 1)
        starts = [*range(0, side - wide, step), side - wide]
        axes.append([slice(start, start + wide) for start in starts])
    yield from product(*axes)


def _weights(window: Size, mode: str) -> torch.Tensor:
    """How much each pixel of a window counts, as MONAI's maps of importance."""
    if mode == "constant":
        return torch.ones(window)
    bells = []
    for side in window:
        away = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        bells.append(torch.exp(-(away**2) / (2 * (_SIGMA * side) ** 2)))
    weights = torch.outer(*bells)
    return weights.clamp(min=max(float(weights.min()), _LEAST_WEIGHT))
