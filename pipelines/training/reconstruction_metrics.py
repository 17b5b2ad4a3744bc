"""How near reconstructions come to their films, film by film."""

from typing import Any

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from monai.metrics.regression import compute_ssim_and_cs

_SMALLEST_ERROR = 1e-10
_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_CONSTANTS = (0.01, 0.03)


def film_measures(reconstructions: torch.Tensor, films: torch.Tensor) -> dict[str, torch.Tensor]:
    """Compare each reconstruction with its film.

    Args:
        reconstructions: (batch, channel, height, width).
        films: The same shape, 0 to 1; sides of at least 11 pixels.

    Returns:
        By name, a float32 tensor (batch,): `mse` and `mae`, the mean squared and absolute error;
        `psnr`, 10 log10(1 / mse) in decibels, at most 100; `ssim`, -1 to 1.
    """
    made, truth = reconstructions.float(), films.float()
    error = (made - truth).flatten(1)
    mse = error.square().mean(1)
    return {
        "psnr": -10 * mse.clamp_min(_SMALLEST_ERROR).log10(),
        "mse": mse,
        "mae": error.abs().mean(1),
        "ssim": ssim_map(made, truth).flatten(1).mean(1),
    }


def ssim_map(reconstructions: torch.Tensor, films: torch.Tensor) -> torch.Tensor:
    """Return the structural similarity around each pixel, in Gaussian windows of 11 pixels.

    Args:
        reconstructions: (batch, channel, height, width).
        films: The same shape, 0 to 1; sides of at least 11 pixels.

    Returns:
        -1 to 1, (batch, channel, height - 10, width - 10): no window crosses the border.

    References:
        Wang et al., Image quality assessment: from error visibility to structural similarity, IEEE
        Trans. Image Process. 13 (2004).
    """
    similarity: torch.Tensor = compute_ssim_and_cs(
        reconstructions.float(),
        films.float(),
        spatial_dims=2,
        kernel_size=(_SSIM_WINDOW, _SSIM_WINDOW),
        kernel_sigma=(_SSIM_SIGMA, _SSIM_SIGMA),
        data_range=1.0,
        k1=_SSIM_CONSTANTS[0],
        k2=_SSIM_CONSTANTS[1],
    )[0]
    return similarity


class ReconstructionMeasure(Metric):
    """Mean over films of one of `film_measures`.

    Args:
        name: `psnr`, `mse`, `mae` or `ssim`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(output_transform=_pair)

    def reset(self) -> None:
        """Forget all films."""
        self._sum, self._films = 0.0, 0

    def update(self, output: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Add a batch of reconstructions and films, both (batch, channel, height, width)."""
        values = film_measures(*output)[self.name]
        self._sum += float(values.double().sum())
        self._films += len(values)

    def compute(self) -> float:
        """Return the mean.

        Raises:
            NotComputableError: If there was no film.
        """
        if not self._films:
            raise NotComputableError("expected at least one film, got none")
        return self._sum / self._films


def _pair(output: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return output["pred"], output["label"]
