"""How often a class is drawn."""

from collections import Counter

import numpy as np
import pytest

from pipelines.errors import ConfigurationError
from pipelines.training.class_balance import ClassBalance
from pipelines.training.sampling import EpochSampler

DATA = [{"label": label} for label, count in enumerate((4, 36, 60)) for _ in range(count)]


@pytest.mark.parametrize(
    ("power", "shares"), [(0.0, (4, 36, 60)), (0.5, (12.7, 38, 49.2)), (1.0, (100 / 3,) * 3)]
)
def test_the_power_leads_from_as_they_come_to_all_classes_alike(power, shares):
    drawn = Counter()
    for seed in range(20):
        sampler = EpochSampler(DATA, weights=ClassBalance(DATA, power=power), seed=seed)
        drawn.update(DATA[draw.film]["label"] for draw in sampler)
    assert np.allclose([drawn[label] / 20 for label in range(3)], shares, atol=1.5)


def test_a_power_out_of_its_range_is_refused():
    with pytest.raises(ConfigurationError, match="expected a power from 0 to 1, got 2"):
        ClassBalance(DATA, power=2)
