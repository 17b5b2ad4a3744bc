"""What a viewer gets of a film shows, through its curve, what the network gets."""

import numpy as np
import pytest
from bundle_fixture import write_dicom, write_png
from corpus import dicom_grey_cases, dicom_syntax_cases, raster_cases
from corpus.dicom_films import film, save
from PIL import Image

from pipelines.errors import Reason
from pipelines.ingest.film_values import FilmValues
from pipelines.ingest.read import read_film_values, read_radiograph
from pipelines.radiograph import Radiograph

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
CASES = [
    case
    for module in (dicom_grey_cases, dicom_syntax_cases, raster_cases)
    for case in module.cases()
    if not isinstance(case.expect, Reason)
]


def shown(values):
    """Apply the curve as a viewer does."""
    points = np.linspace(0, values.samples.max(), len(values.curve))
    return np.interp(values.samples, points, values.curve)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_curve_shows_what_the_reader_reads(case, tmp_path):
    path = tmp_path / case.filename
    case.write(path)
    read, values = read_radiograph(path), read_film_values(path)
    if len(read.pixels) == 3:
        assert isinstance(values, Radiograph)
        np.testing.assert_array_equal(values.pixels, read.pixels)
        return
    assert isinstance(values, FilmValues)
    assert values.samples.dtype == np.uint16
    # What was laid on black, or stretched, need not be a stored value.
    half_a_step = 0 if read.provenance.format == "dicom" else 0.51 / (2 ** min(values.bits, 16) - 1)
    # A curve of 4096 points bridges steps that a film of more values may have between them.
    bridged = 1e-4 if len(values.curve) > values.samples.max() else 0.02
    tolerance = max(half_a_step, bridged)
    np.testing.assert_allclose(shown(values), read.pixels[0], rtol=0, atol=tolerance)
    assert values.step > 0
    assert values.window.width > 0
    assert values.inverted == (read.provenance.format == "dicom" and read.provenance.inverted)


def test_values_of_a_film_are_those_of_its_modality(tmp_path):
    stored = np.array([[0, 10, 4000], [7, 8, 9]], np.uint16)
    dataset = film(stored, RescaleSlope=0.5, RescaleIntercept=-100, WindowCenter=900)
    dataset.WindowWidth = 2000
    save(tmp_path / "a.dcm", dataset)
    values = read_film_values(tmp_path / "a.dcm")
    np.testing.assert_allclose(values.first + values.step * values.samples, stored * 0.5 - 100)
    assert (values.window.center, values.window.width) == (900, 2000)
    assert (values.window.function, values.source) == ("LINEAR", "window")


def test_a_film_without_a_window_begins_with_one_that_spans_what_is_shown(tmp_path):
    path = write_dicom(tmp_path / "a.dcm")
    values = read_film_values(path)
    half = values.window.width / 2
    grey = shown(values)
    modality = values.first + values.step * values.samples
    assert np.all(grey[modality > values.window.center + half] == (0 if values.inverted else 1))
    assert np.all(grey[modality < values.window.center - half] == (1 if values.inverted else 0))


def test_a_picture_has_the_window_of_its_bits(tmp_path):
    values = read_film_values(write_png(tmp_path / "a.png"))
    assert (values.window.center, values.window.width, values.bits) == (128, 256, 8)
    deep = (np.arange(4000, dtype=np.uint16) * 16).reshape(50, 80)
    Image.fromarray(deep).save(tmp_path / "b.png")
    values = read_film_values(tmp_path / "b.png")
    np.testing.assert_array_equal(values.samples, deep)
    assert (values.window.center, values.window.width, values.bits) == (32768, 65536, 16)
