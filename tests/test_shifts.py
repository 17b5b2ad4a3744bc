"""Shifts of a film's look: what each does, at every size, and which ones a config names."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.transforms.shifts import SHIFTS, Setting, settings_of, shift_film

ALL = settings_of(True)
# What each shift does nothing at.
NEUTRAL = {
    **{"gamma": 1, "exposure": 1, "contrast": 1, "vignette": 0, "uneven": 0, "sharpen": 0},
    **{"noise": 0, "resample": 1, "crop": 0, "border": 0, "rotate": 0},
}


def film(*, side=112, channels=1, seed=0):
    """A smooth film with an edge and some grain, 0 to 1."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0.1, 0.8, side + 16, dtype=np.float32)[None, None]
    made = np.repeat(np.repeat(ramp, side, axis=1), channels, axis=0)
    made[:, side // 3 : side // 2] += 0.15
    return (made + random.normal(0, 0.01, made.shape)).clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("setting", ALL, ids=str)
def test_each_shift_changes_the_film_and_keeps_its_form(setting, channels):
    before = film(channels=channels)
    kept = before.copy()
    after = shift_film(before, setting)
    assert (after.dtype, after.shape[0], after.flags.c_contiguous) == (np.float32, channels, True)
    assert after.min() >= 0
    assert after.max() <= 1
    assert np.array_equal(before, kept)
    assert after.shape != before.shape or not np.allclose(after, before, atol=1e-3)


@pytest.mark.parametrize(("name", "strength"), NEUTRAL.items())
def test_a_neutral_strength_changes_nothing(name, strength):
    before = film(channels=3)
    assert np.allclose(shift_film(before, Setting(name, strength)), before, atol=1e-5)


@pytest.mark.parametrize("name", ["blur", "noise", "resample", "jpeg", "crop", "border"])
def test_the_stronger_setting_is_the_later_one(name):
    before = film(side=224)

    def distance(setting):
        after = shift_film(before, setting)
        size = before.shape[2], before.shape[1]
        return np.abs(cv2.resize(after[0], size) - before[0]).mean()

    weak, strong = (distance(setting) for setting in settings_of([name]))
    assert weak < strong


def test_noise_follows_from_the_seed_alone():
    setting = Setting("noise", 0.05)
    first, again, other = (shift_film(film(), setting, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("setting", [Setting("blur", 2), Setting("noise", 0.05)], ids=str)
def test_a_strength_means_the_same_on_a_larger_film(setting):
    """Seen at one size, the film that was larger is changed about as much."""
    changes = []
    for side in (224, 448):
        before = film(side=side)
        after = shift_film(before, setting)
        changes.append(
            cv2.resize(after[0] - before[0], (112, 112), interpolation=cv2.INTER_AREA).std()
        )
    assert changes[1] == pytest.approx(changes[0], rel=0.3)


def test_colours_stay_where_they_are_in_a_jpeg():
    red = np.zeros((3, 48, 48), np.float32)
    red[0] = 0.8
    assert np.abs(shift_film(red, Setting("jpeg", 50)) - red).max() < 0.05


@given(st.lists(st.sampled_from(sorted(SHIFTS)), unique=True, min_size=1))
def test_a_choice_of_names_keeps_their_order_and_strengths(names):
    chosen = settings_of(names)
    assert list(dict.fromkeys(each.shift for each in chosen)) == names
    assert set(chosen) <= set(ALL)


def test_true_takes_all_and_a_mapping_has_strengths_of_its_own():
    assert 20 <= len(ALL) == len(set(map(str, ALL)))
    assert settings_of({"jpeg": [90, 10]}) == (Setting("jpeg", 90), Setting("jpeg", 10))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (["blurr"], "'blurr'; did you mean 'blur'"),
        ({"jpeg": [0]}, "strengths of 1 to 100 for the shift jpeg, got 0"),
        ({"gamma": ["dark"]}, "got 'dark'"),
    ],
)
def test_what_is_no_shift_is_refused(choice, said):
    with pytest.raises(ConfigurationError, match=said):
        settings_of(choice)


def test_the_page_of_shifts_names_each_as_it_is():
    page = Path(__file__).resolve().parents[1].joinpath("docs", "robustness.md").read_text("utf-8")
    for name, shift in SHIFTS.items():
        strengths = ", ".join(f"{strength:g}" for strength in shift.strengths)
        assert f"| `{name}` | {strengths} | {shift.meaning} |" in page
