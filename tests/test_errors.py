"""Values that cannot be right are refused as wrong use by everything that a configuration names."""

import pickle

import pytest
from torch import nn

from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.training.averaging import build_average
from pipelines.training.checkpoints import EarlyStopping
from pipelines.training.look import LookWeights
from pipelines.training.losses import BinaryLoss
from pipelines.training.metrics import build_metric
from pipelines.training.schedule import WarmupCosine
from pipelines.training.trainer import build_trainer
from pipelines.transforms.contrast import equalise_clahe
from pipelines.transforms.geometry import ResizeShortSided, ResizeSquared
from pipelines.transforms.reading import LoadRadiographd

WRONG = {
    "average": lambda: build_average(nn.Linear(1, 1), decay=1.5),
    "patience": lambda: EarlyStopping(evaluator=None, patience=0),
    "look": lambda: LookWeights(None, limit=0.5),
    "loss": lambda: BinaryLoss(gamma=-1),
    "metric": lambda: build_metric("auroq"),
    "schedule": lambda: WarmupCosine(None, warmup=2),
    "clahe": lambda: equalise_clahe(None, bits=7),
    "short side": lambda: ResizeShortSided("image", short_side=0),
    "size": lambda: ResizeSquared("image", size=-192),
    "channels": lambda: LoadRadiographd("image", channels=2),
    "epochs": lambda: build_trainer(
        0, device="cpu", network=None, optimizer=None, loss_function=None, train_data_loader=[]
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_values_are_wrong_use(what):
    with pytest.raises(ConfigurationError, match=r"expected .*, got") as caught:
        WRONG[what]()
    assert isinstance(caught.value, ValueError)


def test_errors_cross_to_another_process():
    error = pickle.loads(pickle.dumps(ConfigurationError(Reason.UNKNOWN_NAME, "no such thing")))
    assert isinstance(error, PlainfilmError)
    assert (error.reason, str(error)) == (Reason.UNKNOWN_NAME, "no such thing")
