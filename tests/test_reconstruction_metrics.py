import numpy as np
import pytest
import torch
from ignite.exceptions import NotComputableError
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pipelines.training.metrics import Family, build_metric, family_of
from pipelines.training.reconstruction_metrics import film_measures, ssim_map


@pytest.fixture
def pair():
    random = torch.Generator().manual_seed(0)
    film = torch.rand(3, 1, 40, 24, generator=random)
    noise = torch.randn(film.shape, generator=random)
    return film + torch.tensor([0.05, 0.1, 0.3]).view(-1, 1, 1, 1) * noise, film


def test_measures_agree_with_another_library(pair):
    measures = film_measures(*pair)
    for place, (made, film) in enumerate(zip(*(x[:, 0].numpy() for x in pair), strict=True)):
        assert measures["psnr"][place] == pytest.approx(
            peak_signal_noise_ratio(film, made, data_range=1.0), rel=1e-4
        )
        assert measures["mae"][place] == pytest.approx(np.abs(film - made).mean(), rel=1e-4)
        full = structural_similarity(
            film, made, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )[1]  # fmt: skip
        assert measures["ssim"][place] == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-3)


def test_perfect_reconstruction_has_finite_measures(pair):
    measures = film_measures(pair[1], pair[1])
    assert measures["psnr"].tolist() == pytest.approx([100.0] * 3)
    assert measures["ssim"].tolist() == pytest.approx([1.0] * 3)
    assert ssim_map(pair[1], pair[1]).shape == (3, 1, 30, 14)


def test_metric_is_the_mean_over_films_however_they_are_batched(pair):
    metric = build_metric("psnr")
    for part in (slice(0, 1), slice(1, 3)):
        metric.update((pair[0][part], pair[1][part]))
    assert metric.compute() == pytest.approx(film_measures(*pair)["psnr"].mean().item(), rel=1e-6)
    metric.reset()
    with pytest.raises(NotComputableError):
        metric.compute()


def test_family_is_known_by_its_key_metric():
    assert family_of("val_psnr") is Family.RECONSTRUCTION
