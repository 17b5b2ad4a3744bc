"""Loss of masks that may overlap: Dice with cross entropy or focal loss, as MONAI defines them."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from monai.losses import DiceLoss, FocalLoss
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason

_SMOOTH = 1e-5  # MONAI's default
_CACHED = 2**18  # values of a map in float32: half of a small cache of the second level


class LayerLoss(nn.Module):
    """Sum of a Dice loss and a loss of single pixels, each channel with a sigmoid of its own.

    Dice is taken over the batch, not film by film: of a bone of a few hundred pixels that one film
    shows badly, single films give a loss that jumps between 0 and 1, and a channel that is empty in
    one film teaches nothing. Dice alone says little about pixels far from any outline; cross
    entropy alone is content with small bones missing. Computed in float32.

    Args:
        pixels: `cross_entropy` (binary, of every pixel and channel) or `focal`, which weighs pixels
            that are right already by (1 - p)^gamma.
        gamma: Of the focal loss, 0 or more.
        pixel_weight: What the loss of pixels is multiplied with, 0 or more. Where most pixels
            belong to nothing its mean is small.
        batch_dice: Take Dice over the batch; otherwise film by film.

    References:
        Milletari et al., V-Net, 3DV 2016; Lin et al., Focal loss for dense object detection, ICCV
        2017; Isensee et al., nnU-Net, Nature Methods 18 (2021), for the sum and for batch Dice.
    """

    def __init__(
        self,
        *,
        pixels: Literal["cross_entropy", "focal"] = "cross_entropy",
        gamma: float = 2.0,
        pixel_weight: float = 5.0,
        batch_dice: bool = True,
    ) -> None:
        super().__init__()
        if pixels not in {"cross_entropy", "focal"} or min(gamma, pixel_weight) < 0:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected pixels 'cross_entropy' or 'focal', gamma and pixel_weight of 0 or more, "
                f"got {pixels!r}, {gamma} and {pixel_weight}",
            )
        self.pixel_weight = pixel_weight
        self.batch_dice = batch_dice
        self.dice = DiceLoss(sigmoid=True, batch=batch_dice)
        self.focal = None if pixels == "cross_entropy" else FocalLoss(gamma=gamma)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss.

        Args:
            logits: (batch, channel, height, width).
            labels: 0 or 1 of any type, the same shape.

        Returns:
            A scalar, 0 or more.
        """
        if self.focal is None:
            combine: Callable[..., torch.Tensor] = DiceCrossEntropy.apply
            return combine(logits, labels, self.pixel_weight, self.batch_dice)
        precise, truth = logits.float().contiguous(), labels.float()
        dice: torch.Tensor = self.dice(precise, truth)
        pixels: torch.Tensor = self.focal(precise, truth)
        return dice + self.pixel_weight * pixels


class DiceCrossEntropy(torch.autograd.Function):
    """MONAI's Dice loss and binary cross entropy of logits, in float32 whatever these are.

    Maps of 29 channels in float32 are larger than any cache, and new memory for each costs more
    than what is computed. So a CPU takes a few rows at a time, and takes the sigmoid anew for the
    gradient rather than keep it.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd hands over by position
        context: Any,
        logits: torch.Tensor,
        labels: torch.Tensor,
        pixel_weight: float,
        batch_dice: bool,
    ) -> torch.Tensor:
        """Return the loss.

        Args:
            context: Keeps what the gradient needs.
            logits: (batch, channel, height, width).
            labels: 0 or 1 of any type, the same shape.
            pixel_weight: What cross entropy is multiplied with.
            batch_dice: Take Dice over the batch; otherwise film by film.

        Returns:
            A scalar, 0 or more.
        """
        axes = (0, 2, 3) if batch_dice else (2, 3)
        overlap = total = entropy = torch.zeros((), device=logits.device)
        for precise, truth in _pieces(logits, labels):
            chance = precise.sigmoid()
            overlap = overlap + (chance * truth).sum(axes, keepdim=True)
            total = total + (chance + truth).sum(axes, keepdim=True)
            entropy = (
                entropy + functional.softplus(precise).addcmul_(precise, truth, value=-1).sum()
            )
        overlap, total = 2 * overlap + _SMOOTH, total + _SMOOTH
        context.save_for_backward(logits, labels, overlap, total)
        context.pixel_weight = pixel_weight
        return (1 - overlap / total).mean() + entropy * (pixel_weight / logits.numel())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """Return the gradient of the logits; labels and settings have none."""
        logits, labels, overlap, total = context.saved_tensors
        of_dice = gradient / total.numel()
        of_pixel = gradient * context.pixel_weight / logits.numel()
        aside, within = of_dice * overlap / total.square(), -2 * of_dice / total
        answer = torch.empty_like(logits)
        pieces = zip(_pieces(logits, labels), _in_rows(answer), strict=True)
        for (precise, truth), part in pieces:
            chance = precise.sigmoid()
            slope = torch.addcmul(aside, truth, within)
            slope *= torch.addcmul(chance, chance, chance, value=-1)
            part.copy_(slope.addcmul_(chance - truth, of_pixel))
        return answer, None, None, None


def _pieces(
    logits: torch.Tensor, labels: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Give some rows of all films at a time: logits and labels in float32, laid out alike."""
    for part, label in zip(_in_rows(logits), _in_rows(labels), strict=True):
        precise = part.to(torch.promote_types(part.dtype, torch.float32))
        # Labels come channel by channel, logits pixel by pixel.
        yield precise, torch.empty_like(precise).copy_(label)


def _in_rows(maps: torch.Tensor) -> tuple[torch.Tensor, ...]:
    height = maps.shape[2]
    rows = _CACHED * height // max(maps.numel(), 1) if maps.device.type == "cpu" else height
    return torch.split(maps, max(rows, 1), dim=2)
