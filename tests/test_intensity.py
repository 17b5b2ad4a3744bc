import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.transforms.intensity import standardise

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
