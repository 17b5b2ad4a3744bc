import pytest
import torch
from torch import nn

from pipelines.errors import ConfigurationError
from pipelines.networks.device import (
    autocast,
    autocast_dtype,
    pick_device,
    trains_quicker_in_half,
)


def test_auto_gives_a_device_that_works():
    assert torch.ones(2, device=pick_device()).sum() == 2


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_named_device_is_given(device):
    assert pick_device(device) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", torch.device("cuda:99"), None])
def test_device_that_is_not_there_is_refused(name):
    with pytest.raises(ConfigurationError, match="expected a device of this machine"):
        pick_device(name)


def test_autocast_changes_precision_only_where_it_is_quick():
    cpu = torch.device("cpu")
    product = torch.ones(4, 4)
    with autocast(cpu):
        assert (product @ product).dtype == (autocast_dtype(cpu) or torch.float32)
    with autocast(cpu, enabled=False):
        assert (product @ product).dtype == torch.float32


def test_depthwise_networks_train_in_float32_on_a_cpu():
    depthwise = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8))
    plain = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=2))
    assert not trains_quicker_in_half(depthwise, torch.device("cpu"))
    assert trains_quicker_in_half(depthwise, torch.device("cuda"))
    assert trains_quicker_in_half(plain, torch.device("cpu"))
