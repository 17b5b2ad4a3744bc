"""How the engine is set up; what it answers is tested with the batch."""

import pytest
from torch import nn

from pipelines.errors import ConfigurationError
from pipelines.inference.engine import TorchEngine
from pipelines.networks.augmented import AugmentedInferer
from pipelines.networks.device import usable_cores


def engine(**settings):
    return TorchEngine(
        nn.Identity(), "model.pt", device="cpu", inferer=AugmentedInferer(), **settings
    )


def test_batches_at_once():
    assert engine().at_once == usable_cores()
    assert engine(at_once=1).at_once == 1


@pytest.mark.parametrize("settings", [{"at_once": 0}, {"batch_size": 1.5}, {"at_once": True}])
def test_wrong_numbers_are_refused(settings):
    with pytest.raises(ConfigurationError, match="a whole number above 0"):
        engine(**settings)
