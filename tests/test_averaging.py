import pytest
import torch
from torch import nn

from pipelines.training.averaging import build_average


def followed(decay, values):
    """What the average of one weight is after it has had each of some values in turn."""
    network = nn.Linear(1, 1, bias=False)
    average = build_average(network, decay=decay)
    for value in values:
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
    assert network.weight.item() == values[-1]
    return average.module.weight.item()


def test_average_follows_with_its_decay_once_it_has_a_history():
    settled = [1.0] * 100
    assert followed(0.75, [*settled, 0.0]) == pytest.approx(0.75)


def test_average_begins_short():
    assert followed(0.99, [1.0, 0.0]) == pytest.approx(2 / 11)
    assert followed(0.99, [1.0, 0.0, 0.0]) == pytest.approx(2 / 11 * 3 / 12)
    assert followed(0.1, [1.0, 0.0]) == pytest.approx(0.1)


def test_first_weights_are_forgotten_sooner_than_a_fixed_decay_would():
    assert followed(0.995, [100.0] + [0.0] * 100) < 1e-3 < 100.0 * 0.995**100


def test_batch_norm_statistics_are_averaged():
    network = nn.BatchNorm2d(1)
    average = build_average(network, decay=0.1)
    average.update_parameters(network)
    network.train()(torch.full((2, 1, 2, 2), 10.0))
    average.update_parameters(network)
    assert average.module.running_mean.item() == pytest.approx(0.9 * network.running_mean.item())
    assert average.module.num_batches_tracked.item() == 1


def test_decay_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"decay from 0 to below 1, got 1\.0"):
        build_average(nn.Linear(1, 1), decay=1.0)
