import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.networks.autoencoder import build_autoencoder


@settings(max_examples=12, deadline=None)
@given(
    strides=st.lists(st.integers(1, 4), min_size=2, max_size=3),
    factor=st.integers(2, 5),
    latent_size=st.integers(1, 9),
)
def test_output_has_the_size_of_the_input_whatever_the_strides(strides, factor, latent_size):
    size = factor * torch.tensor(strides).prod().item()
    network = build_autoencoder(
        size, channels=[4] * (len(strides) - 1), latent_size=latent_size, strides=strides
    )
    film = torch.rand(2, 1, size, size)
    assert network.eval()(film).shape == film.shape
    code = network.encode(film)
    assert code.shape == (2, latent_size, factor, factor)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image_size": 100}, "take 96 or 112"),
        ({"image_size": 8}, "take 16"),
        ({"image_size": 64, "strides": [2, 2]}, "4 strides"),
        ({"image_size": 64, "latent_size": 0}, "at least 1"),
        ({"image_size": 64, "channels": []}, "at least 1"),
    ],
)
def test_sizes_that_cannot_come_back_are_refused(arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        build_autoencoder(**arguments)


def test_brightness_survives_batch_norm():
    torch.manual_seed(0)
    network = build_autoencoder(32, channels=[4, 8], strides=[2, 2, 2]).eval()
    dark, bright = network(torch.full((1, 1, 32, 32), 0.1)), network(torch.ones(1, 1, 32, 32))
    assert not torch.allclose(dark, bright, atol=1e-3)
