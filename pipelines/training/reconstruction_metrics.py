"""How near reconstructions come to their films, film by film."""

from collections.abc import Callable, Mapping, Sequence

import torch
from monai.metrics.regression import compute_ssim_and_cs

from pipelines.training.film_mean import FilmMean

MEASURES = ("psnr", "ssim", "mse", "mae")
"""How near a reconstruction is to its film; of the first two higher is better."""

_SMALLEST_ERROR = 1e-10
_SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_CONSTANTS = (0.01, 0.03)


def film_measures(
    reconstructions: torch.Tensor, films: torch.Tensor, *, names: Sequence[str] = MEASURES
) -> dict[str, torch.Tensor]:
    """Compare each reconstruction with its film.

    Args:
        reconstructions: (batch, channel, height, width).
        films: The same shape, 0 to 1; sides of at least 11 pixels.
        names: Which of `MEASURES` to compute.

    Returns:
        By name, a float32 tensor (batch,): `mse` and `mae`, the mean squared and absolute error;
        `psnr`, 10 log10(1 / mse) in decibels, at most 100; `ssim`, -1 to 1.
    """
    made, truth = reconstructions.float(), films.float()
    return {name: _MEASURES[name](made, truth) for name in names}


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


def _mse(made: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return (made - truth).square().flatten(1).mean(1)


_MEASURES: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "psnr": lambda made, truth: -10 * _mse(made, truth).clamp_min(_SMALLEST_ERROR).log10(),
    "ssim": lambda made, truth: ssim_map(made, truth).flatten(1).mean(1),
    "mse": _mse,
    "mae": lambda made, truth: (made - truth).abs().flatten(1).mean(1),
}


class ReconstructionMeasure(FilmMean):
    """Mean over films of one of `film_measures`.

    Args:
        name: `psnr`, `mse`, `mae` or `ssim`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()

    def values(self, answer: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the measure of each film from reconstructions and films, (batch,)."""
        return film_measures(answer, truth, names=[self.name])[self.name]
