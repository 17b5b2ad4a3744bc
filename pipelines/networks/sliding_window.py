"""Apply a network to films larger than it takes: window by window, with soft seams."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from monai.inferers import SlidingWindowInferer

from pipelines.errors import ConfigurationError, Reason


class SlidingWindow(SlidingWindowInferer):
    """MONAI's sliding window with float32 seams and memory that stays at one output.

    With 29 maps of a film of 2048 x 2048 the stitched output takes 490 MB; buffered, one column of
    windows is stitched where the windows are computed and then added to it, so that `device` may be
    the host while the windows stay on an accelerator.

    Args:
        roi_size: Height and width of a window in pixels, or one number for both. A film that is
            smaller is padded with 0.
        sw_batch_size: Windows that go through the network at once.
        overlap: Share of a window that its neighbour covers too, 0 to below 1.
        mode: `gaussian` lets the middle of a window count more than its edges, `constant` lets all
            of it count alike.
        buffered: Stitch a column of windows before it is added to the output.
        device: Where the output is stitched; None takes that of the films.
        sw_device: Where the windows go; None takes that of the films.

    Raises:
        ConfigurationError: If a size, the overlap or the mode is out of its range.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | int = 512,
        *,
        sw_batch_size: int = 1,
        overlap: float = 0.25,
        mode: Literal["gaussian", "constant"] = "gaussian",
        buffered: bool = True,
        device: torch.device | str | None = None,
        sw_device: torch.device | str | None = None,
    ) -> None:
        sides = [roi_size] if isinstance(roi_size, int) else list(roi_size)
        if min([sw_batch_size, *sides]) < 1 or not 0 <= overlap < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected roi_size and sw_batch_size of at least 1 and an overlap from 0 to below "
                f"1, got {roi_size}, {sw_batch_size} and {overlap}",
            )
        if mode not in {"gaussian", "constant"}:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected mode gaussian or constant, got {mode!r}"
            )
        super().__init__(
            roi_size,
            sw_batch_size=sw_batch_size,
            overlap=overlap,
            mode=mode,
            buffer_steps=1 if buffered else None,
            device=device,
            sw_device=sw_device,
        )

    def __call__(
        self,
        inputs: torch.Tensor,
        network: Callable[..., torch.Tensor],
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the stitched output of the network.

        Args:
            inputs: Films, (batch, channel, height, width).
            network: Gives maps of the size of a window.
            args: Handed on to the network.
            kwargs: Handed on to the network.

        Returns:
            float32, (batch, maps, height, width).
        """

        def in_float32(window: torch.Tensor, *more: Any, **named: Any) -> torch.Tensor:
            # Under autocast a window comes in half precision; seams are sums of many.
            return network(window, *more, **named).float()

        stitched: torch.Tensor = super().__call__(inputs, in_float32, *args, **kwargs)
        return stitched
