"""Loss of masks that may overlap: Dice with cross entropy or focal loss, on MONAI's."""

from typing import Literal

import torch
from monai.losses import DiceLoss, FocalLoss
from torch import nn

from pipelines.errors import ConfigurationError, Reason


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
        self.dice = DiceLoss(sigmoid=True, batch=batch_dice)
        self.pixels: nn.Module = (
            nn.BCEWithLogitsLoss() if pixels == "cross_entropy" else FocalLoss(gamma=gamma)
        )

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss.

        Args:
            logits: (batch, channel, height, width).
            labels: 0 or 1 of any type, the same shape.

        Returns:
            A scalar, 0 or more.
        """
        # Labels come channel by channel, logits pixel by pixel: side by side they are quicker.
        precise, truth = logits.float().contiguous(), labels.float()
        dice: torch.Tensor = self.dice(precise, truth)
        pixels: torch.Tensor = self.pixels(precise, truth)
        return dice + self.pixel_weight * pixels
