"""Occlusion finds what an answer rests on, and says whether another map does."""

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.errors import ConfigurationError
from pipelines.evaluation.explanations import Method, explain, method_of
from pipelines.networks.occlusion import GRID, agreement, cover_hottest, occlusion


class Looks(nn.Module):
    """Says class 1 the surer, the brighter one place is; looks nowhere else."""

    def __init__(self, rows, columns, outputs=1):
        super().__init__()
        self.place = (rows, columns)
        self.outputs = outputs
        self.scale = nn.Parameter(torch.tensor(6.0))

    def forward(self, images):
        seen = self.scale * images[:, 0, *self.place].mean((1, 2))[:, None]
        return seen if self.outputs == 1 else torch.cat([-seen, seen], 1)


@pytest.fixture
def image():
    made = torch.zeros(1, 1, 40, 60)
    made[:, :, 8:12, 30:36] = 1
    return made


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_place_that_the_answer_rests_on_falls_most(image, outputs):
    network = Looks(slice(8, 12), slice(30, 36), outputs)
    network.train()
    falls = occlusion(network, image, target=[1])
    assert falls.shape == (1, GRID, GRID)
    assert network.training
    assert np.unravel_index(int(falls[0].argmax()), (GRID, GRID)) == (2, 5)
    assert falls[0, 6:].max() == 0, "nothing is looked at there"
    assert occlusion(network, image, target=[0]).max() == 0, "covering speaks for class 0"


def test_covering_what_is_looked_at_lowers_the_answer_most(image):
    network = Looks(slice(8, 12), slice(30, 36))
    hot = np.zeros((40, 60), np.float32)
    hot[4:16, 10:50] = 1
    covered = cover_hottest(network, image[0], hot, target=1)
    assert covered.before == pytest.approx(1 / (1 + np.exp(-6)), abs=1e-3)
    assert covered.hottest < covered.elsewhere < covered.before
    beside = cover_hottest(network, image[0], np.roll(hot, 20, axis=0), target=1)
    assert beside.hottest == pytest.approx(beside.before)


def test_maps_agree_with_themselves_and_not_with_their_opposite():
    maps = torch.rand(2, 7, 7)
    assert agreement(maps, maps) == pytest.approx([1, 1])
    assert agreement(maps, 1 - maps) == pytest.approx([-1, -1])
    assert agreement(maps, torch.ones(2, 4, 4)) == [None, None]


@pytest.mark.parametrize(
    ("method", "panels"),
    [("gradcam", ["Grad"]), ("occlusion", ["Occl"]), ("both", ["Grad", "Occl"])],
)
def test_each_method_explains_a_network(method, panels):
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)
    )
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    bright = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    (found,) = explain(network, bright, target=[2], method=method_of(method))
    assert [name[:4] for name in found.heats] == panels
    assert all(
        heat.shape == (64, 64) and 0 <= heat.min() <= heat.max() <= 1
        for heat in found.heats.values()
    )
    assert (found.note == "") == (method == "gradcam")
    assert (found.agreement is None) == (method != "both")


def test_a_method_that_is_none_is_refused():
    assert method_of("both") is Method.BOTH
    with pytest.raises(ConfigurationError, match="did you mean 'gradcam'"):
        method_of("gradcan")
