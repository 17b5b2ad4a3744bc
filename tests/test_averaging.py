import pytest
import torch
from torch import nn

from pipelines.training.averaging import build_average


def test_average_follows_with_its_decay():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = build_average(network, decay=0.75)
    average.update_parameters(network)
    nn.init.constant_(network.weight, 0.0)
    average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.75)
    assert network.weight.item() == 0.0


def test_batch_norm_statistics_are_averaged():
    network = nn.BatchNorm2d(1)
    average = build_average(network, decay=0.5)
    average.update_parameters(network)
    network.train()(torch.full((2, 1, 2, 2), 10.0))
    average.update_parameters(network)
    assert average.module.running_mean.item() == pytest.approx(0.5 * network.running_mean.item())


def test_decay_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"decay from 0 to below 1, got 1\.0"):
        build_average(nn.Linear(1, 1), decay=1.0)
