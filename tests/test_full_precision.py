import torch

from pipelines.networks.autoencoder import build_autoencoder
from pipelines.networks.full_precision import FullPrecisionInferer


def test_half_precision_and_layout_change_nothing():
    torch.manual_seed(0)
    network = build_autoencoder(32, channels=[4, 8], strides=[2, 2, 2]).eval()
    films = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        expected = network(films)
        network.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = FullPrecisionInferer()(films.to(memory_format=torch.channels_last), network)
            half = network(films)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(half.float(), expected, atol=1e-4)
