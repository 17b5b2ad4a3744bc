import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from pipelines.errors import ConfigurationError
from pipelines.training.reconstruction_losses import ReconstructionLoss


@pytest.fixture
def pair():
    random = torch.Generator().manual_seed(0)
    film = torch.rand(2, 1, 32, 32, generator=random)
    return (film + 0.1 * torch.randn(film.shape, generator=random)).clamp(0, 1), film


def test_default_is_the_mean_squared_error(pair):
    made, film = pair
    assert ReconstructionLoss()(made, film).item() == pytest.approx(
        np.square(made.numpy() - film.numpy()).mean(), rel=1e-5
    )


def test_mixtures_are_weighted_sums(pair):
    parts = [ReconstructionLoss(mse=0, **{name: 1.0})(*pair) for name in ("l1", "ssim")]
    mixture = ReconstructionLoss(mse=2.0, l1=0.5, ssim=3.0)(*pair)
    expected = 2 * ReconstructionLoss()(*pair) + 0.5 * parts[0] + 3 * parts[1]
    assert mixture.item() == pytest.approx(expected.item(), rel=1e-5)


def test_dissimilarity_is_that_of_another_library(pair):
    made, film = pair
    expected = np.mean(
        [
            1 - structural_similarity(
                a[0].numpy(), b[0].numpy(), data_range=1.0, gaussian_weights=True, sigma=1.5,
                use_sample_covariance=False,
            )
            for a, b in zip(made, film, strict=True)
        ]
    )  # fmt: skip
    # Windows at the border are treated otherwise.
    assert ReconstructionLoss(mse=0, ssim=1)(made, film).item() == pytest.approx(expected, abs=0.02)


def test_gradients_are_finite_in_half_precision(pair):
    made = pair[0].bfloat16().requires_grad_()
    ReconstructionLoss(mse=1, l1=1, ssim=1)(made, pair[1]).backward()
    assert made.grad.isfinite().all()


@pytest.mark.parametrize("weights", [{"mse": -1}, {"mse": 0}, {"l1": float("nan"), "mse": 0}])
def test_weights_without_a_loss_are_refused(weights):
    with pytest.raises(ConfigurationError, match="at least 0"):
        ReconstructionLoss(**weights)
