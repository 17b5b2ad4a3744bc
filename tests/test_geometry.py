import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.data import MetaTensor

from pipelines.transforms.geometry import ResizeShortSided, ResizeSquared, resize_area

films = arrays(
    np.float32,
    st.tuples(st.just(1), st.integers(1, 40), st.integers(1, 40)),
    elements=st.floats(0, 1, width=32),
)


@given(films, st.integers(1, 50), st.integers(1, 50))
def test_values_stay_in_range(film, height, width):
    resized = resize_area(film, height=height, width=width)
    assert resized.shape == (1, height, width)
    assert resized.min() >= film.min() - 1e-6
    assert resized.max() <= film.max() + 1e-6


@given(films)
def test_halving_averages_blocks(film):
    double = film.repeat(2, axis=1).repeat(2, axis=2)
    back = resize_area(double, height=film.shape[1], width=film.shape[2])
    assert np.allclose(back, film, atol=1e-6)


@given(st.integers(10, 300), st.integers(10, 300), st.integers(8, 64))
def test_short_side_has_its_length_and_aspect_is_kept(height, width, short_side):
    new = ResizeShortSided(keys="image", short_side=short_side).target(height, width)
    assert min(new) == short_side
    exact = max(height, width) * short_side / min(height, width)
    assert abs(max(new) - exact) <= 0.5


def test_sides_are_rounded_to_multiples():
    resize = ResizeShortSided(keys="image", short_side=100, divisible_by=32)
    assert resize.target(200, 300) == (96, 160)


def test_squeezed_film_keeps_channels_and_tells_its_new_spacing():
    film = MetaTensor(torch.rand(3, 40, 20), meta={"spacing_mm": (0.2, 0.1)})
    squeezed = ResizeSquared(keys="image", size=10)({"image": film})["image"]
    assert tuple(squeezed.shape) == (3, 10, 10)
    assert squeezed.meta["spacing_mm"] == (0.8, 0.2)
    assert tuple(film.shape) == (3, 40, 20)


def test_plain_tensors_are_taken_too():
    item = ResizeSquared(keys="image", size=4)({"image": torch.ones(1, 8, 8), "label": 1})
    assert torch.equal(item["image"], torch.ones(1, 4, 4))
    assert item["label"] == 1


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="size of at least 1, got 0"):
        ResizeSquared(keys="image", size=0)
    with pytest.raises(ValueError, match="got 0 and 1"):
        ResizeShortSided(keys="image", short_side=0)


def test_missing_key_is_refused_unless_allowed():
    with pytest.raises(KeyError):
        ResizeSquared(keys="image", size=4)({"label": 1})
    assert ResizeSquared(keys="image", size=4, allow_missing_keys=True)({"label": 1}) == {
        "label": 1
    }
