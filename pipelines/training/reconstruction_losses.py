"""How far a reconstruction is from the film, for training."""

import torch
from monai.losses import SSIMLoss
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason

_SSIM_WINDOW = 11


class ReconstructionLoss(nn.Module):
    """A weighted sum of the mean squared error, the mean absolute error and 1 - SSIM.

    Args:
        mse: Weight of the mean squared error.
        l1: Weight of the mean absolute error.
        ssim: Weight of 1 - SSIM, in Gaussian windows of 11 pixels, grey values 0 to 1.

    Raises:
        ConfigurationError: If a weight is below 0, or all are 0.

    References:
        Wang et al., Image quality assessment: from error visibility to structural similarity, IEEE
        Trans. Image Process. 13 (2004).
    """

    def __init__(self, *, mse: float = 1.0, l1: float = 0.0, ssim: float = 0.0) -> None:
        super().__init__()
        if min(mse, l1, ssim) < 0 or not mse + l1 + ssim > 0:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected weights mse, l1 and ssim of at least 0, one of them above, got "
                f"{mse}, {l1} and {ssim}",
            )
        self.mse = mse
        self.l1 = l1
        self.ssim = ssim
        self._dissimilarity = SSIMLoss(spatial_dims=2, data_range=1.0, win_size=_SSIM_WINDOW)

    def forward(self, reconstructions: torch.Tensor, films: torch.Tensor) -> torch.Tensor:
        """Return the mean loss.

        Args:
            reconstructions: (batch, channel, height, width).
            films: The same shape, 0 to 1; with `ssim`, sides of at least 11 pixels.

        Returns:
            A scalar of at least 0.
        """
        # Differences of nearly equal numbers need all their digits.
        made, truth = reconstructions.float(), films.float()
        loss = made.new_zeros(())
        if self.mse:
            loss = loss + self.mse * functional.mse_loss(made, truth)
        if self.l1:
            loss = loss + self.l1 * functional.l1_loss(made, truth)
        if self.ssim:
            with torch.autocast(made.device.type, enabled=False):
                loss = loss + self.ssim * self._dissimilarity(made, truth)
        return loss
