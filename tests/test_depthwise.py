import copy

import pytest
import torch
from torch import nn

from pipelines.networks.depthwise import PreciseDepthwise, keep_depthwise_precise


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 3, groups=2)
    )


def test_only_depthwise_layers_change_and_their_weights_do_not(network):
    before = copy.deepcopy(network)
    keep_depthwise_precise(network)
    assert [type(layer) for layer in network] == [nn.Conv2d, PreciseDepthwise, nn.Conv2d]
    assert before.load_state_dict(network.state_dict())
    films = torch.rand(2, 3, 9, 9)
    assert torch.equal(before(films), network(films))


def test_depthwise_layers_train_in_float32_and_answer_in_half(network):
    keep_depthwise_precise(network)
    layer = network[1]
    films = torch.rand(2, 8, 9, 9)
    exact = layer(films)
    with torch.autocast("cpu", torch.bfloat16):
        trained = layer(films)
        answered = layer.eval()(films)
    assert trained.dtype == answered.dtype == torch.bfloat16
    # Rounded once, at the end; in half precision weights and films are rounded as well.
    assert torch.equal(trained, exact.bfloat16())
    assert not torch.equal(answered, trained)
