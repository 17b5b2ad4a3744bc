import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.training.schedule import ReduceOnPlateau, WarmupCosine


def schedule(**options):
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [weights[0]], "lr": 0.1}, {"params": [weights[1]], "lr": 0.01}]
    return WarmupCosine(torch.optim.SGD(groups), **options)


@given(st.floats(0, 1), st.floats(0, 0.9), st.floats(0, 1))
def test_rate_stays_between_final_and_highest(progress, warmup, final):
    factor = schedule(warmup=warmup, final=final).factor(progress)
    assert final - 1e-9 <= factor <= 1 + 1e-9


def test_rate_rises_then_falls():
    plan = schedule(warmup=0.2, final=0.0)
    factors = [plan.factor(i / 100) for i in range(101)]
    assert factors[20] == pytest.approx(1.0)
    assert factors[:21] == sorted(factors[:21])
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert factors[60] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0, abs=1e-12)


def test_each_group_keeps_its_own_highest_rate():
    plan = schedule(warmup=0.5)
    plan.update(0.5)
    assert [group["lr"] for group in plan.optimizer.param_groups] == [0.1, 0.01]


def test_rate_needs_no_memory_of_earlier_steps():
    one, two = schedule(), schedule()
    for i in range(50):
        one.update(i / 100)
    one.update(0.6)
    two.update(0.6)
    assert [g["lr"] for g in one.optimizer.param_groups] == [
        g["lr"] for g in two.optimizer.param_groups
    ]


def test_wrong_shares_are_refused():
    with pytest.raises(ValueError, match=r"warmup from 0 to below 1.*got 1\.0"):
        schedule(warmup=1.0)


def plateau(**options):
    weight = torch.nn.Parameter(torch.zeros(1))
    return ReduceOnPlateau(torch.optim.SGD([weight], lr=1.0), **options)


def rates(plan, accuracies):
    found = []
    for accuracy in accuracies:
        plan.validated({"val_accuracy": accuracy})
        found.append(plan.optimizer.param_groups[0]["lr"])
    return found


def test_rate_falls_after_validations_without_improvement():
    assert rates(plateau(patience=1, factor=0.5), [0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.95]) == [
        1.0,
        1.0,
        1.0,
        0.5,
        0.5,
        0.25,
        0.25,
    ]


def test_plateau_goes_on_from_its_state():
    one, two = plateau(patience=1, factor=0.5), plateau(patience=1, factor=0.5)
    rates(one, [0.8, 0.9, 0.9])
    two.load_state_dict(one.state_dict())
    assert rates(two, [0.9]) == rates(one, [0.9]) == [0.5]


def test_a_metric_that_is_not_measured_is_refused():
    with pytest.raises(ConfigurationError, match=r"'val_acuracy'.*val_accuracy"):
        plateau(metric="val_acuracy").validated({"val_accuracy": 0.5})
