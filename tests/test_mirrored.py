import torch
from torch import nn

from pipelines.networks.mirrored import MirroredInferer


def test_film_and_its_mirror_image_get_the_same_answer():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 1))
    films = torch.randn(5, 1, 6, 6)
    answers = MirroredInferer()(films, network)
    assert torch.allclose(answers, MirroredInferer()(films.flip(3), network), atol=1e-6)
    assert torch.allclose(answers, (network(films) + network(films.flip(3))) / 2, atol=1e-6)
    assert answers.dtype == torch.float32
