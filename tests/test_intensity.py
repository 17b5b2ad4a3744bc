import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.errors import InputError
from pipelines.transforms.intensity import normalise_imagenet, standardise

films = arrays(np.float32, (1, 6, 5), elements=st.floats(0, 1, width=32))


@given(films)
def test_standardised_film_is_finite_and_centred(film):
    result = standardise(film)
    assert np.isfinite(result).all()
    assert abs(float(result.mean())) < 1e-2
    assert float(result.std()) < 1.01


@given(films, st.floats(0.5, 2.0), st.floats(-1.0, 1.0))
def test_brightness_and_contrast_do_not_matter(film, gain, offset):
    if film.std() > 0.1:
        changed = (film * np.float32(gain) + np.float32(offset)).astype(np.float32)
        assert np.allclose(standardise(film), standardise(changed), atol=1e-3)


def test_imagenet_scale_is_that_of_public_weights():
    film = np.stack([np.full((2, 2), value, np.float32) for value in (0.485, 0.456, 0.406)])
    assert np.allclose(normalise_imagenet(film), 0, atol=1e-6)
    assert np.allclose(normalise_imagenet(film + np.float32(0.1))[0], 0.1 / 0.229, atol=1e-6)
    grey = np.full((1, 2, 2), 0.449, np.float32)
    assert np.allclose(normalise_imagenet(grey), 0, atol=1e-6)
    with pytest.raises(InputError, match="expected 1 or 3 channels, got 2"):
        normalise_imagenet(np.zeros((2, 2, 2), np.float32))
