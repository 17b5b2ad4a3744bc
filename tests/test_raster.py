"""Raster images: values kept exactly, everything else turned into a reason."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from corpus import Case
from corpus.raster_cases import cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from pipelines.errors import InputError, Reason
from pipelines.ingest.raster import read_raster

# The module turns Pillow's warnings of broken metadata off for the process; pytest turns all on.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

CASES = {case.name: case for case in cases()}


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path):
    path = tmp_path / case.filename
    case.write(path)
    if isinstance(case.expect, Reason):
        with pytest.raises(InputError) as refusal:
            read_raster(path)
        assert refusal.value.reason is case.expect, str(refusal.value)
        assert str(tmp_path) not in str(refusal.value)
    else:
        case.check(read_raster(path))


@given(
    values=st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20))
    ),
    image_format=st.sampled_from(["PNG", "TIFF"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_grey_survives_exactly(tmp_path: Path, values: np.ndarray, image_format: str):
    path = tmp_path / "film"
    Image.fromarray(values).save(path, image_format)
    pixels = read_raster(path).pixels
    largest = np.iinfo(values.dtype).max
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(np.rint(pixels[0] * np.float64(largest)), values)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grey_16", {"bits": 16, "format": "png", "decoder": "pillow"}),
        ("grey_4", {"bits": 4}),
        ("tiff_grey_12", {"bits": 12, "format": "tiff"}),
        ("tiff_white_zero_16", {"bits": 16, "inverted": True}),
        ("tiff_white_zero_8", {"bits": 8, "inverted": True}),
        ("one_bit_png", {"bits": 1}),
        ("colour_48", {"bits": 16, "decoder": "opencv", "flags": ("colour",)}),
        ("grey_and_alpha", {"flags": ("transparency_on_black",)}),
        ("colour_and_opaque_alpha", {"flags": ("colour",)}),
        ("jpeg_grey", {"bits": 8, "voi": "full_range", "flags": (), "inverted": False}),
    ],
)
def test_provenance_says_what_was_done(name: str, expected: dict, tmp_path: Path):
    CASES[name].write(tmp_path / "film")
    provenance = dataclasses.asdict(read_raster(tmp_path / "film").provenance)
    assert expected == {key: provenance[key] for key in expected}


def test_volumes_are_for_another_reader(tmp_path: Path):
    (tmp_path / "volume.png").write_bytes(b"NRRD0004\n")
    with pytest.raises(InputError) as refusal:
        read_raster(tmp_path / "volume.png")
    assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT


def test_threads_read_alike(tmp_path: Path):
    readable = [case for case in CASES.values() if not isinstance(case.expect, Reason)]
    for case in readable:
        case.write(tmp_path / case.filename)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda case: read_raster(tmp_path / case.filename), readable))
    for case, radiograph in zip(readable, found, strict=True):
        case.check(radiograph)
