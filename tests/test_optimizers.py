"""Optimizers by name."""

import pytest
import torch
from torch import nn

from pipelines.errors import ConfigurationError
from pipelines.training.optimizers import build_optimizer


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_each_name_gives_its_optimizer_and_finds_a_minimum(name, kind):
    place = nn.Parameter(torch.tensor([2.0, -3.0]))
    optimizer = build_optimizer([place], name=name, lr=0.1, weight_decay=1e-4)
    assert type(optimizer).__name__ == kind
    for _ in range(200):
        optimizer.zero_grad()
        (place**2).sum().backward()
        optimizer.step()
    assert place.abs().max() < 0.05


def test_wrong_names_and_numbers_are_refused():
    place = [nn.Parameter(torch.zeros(1))]
    with pytest.raises(ConfigurationError, match="no optimizer named 'adamW'"):
        build_optimizer(place, name="adamW", lr=0.1)
    for wrong in ({"lr": 0.0}, {"lr": 0.1, "weight_decay": -1}):
        with pytest.raises(ConfigurationError, match="expected a learning rate above 0"):
            build_optimizer(place, **wrong)
