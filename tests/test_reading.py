import numpy as np
import pydicom
import pytest
import torch
from PIL import Image

from pipelines.errors import InputError, Reason
from pipelines.ingest.read import read_radiograph
from pipelines.transforms.reading import LoadRadiographd, with_channels


def test_film_becomes_a_tensor_rows_first(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    image = LoadRadiographd(keys="image")({"image": tmp_path / "film.png"})["image"]
    assert tuple(image.shape) == (1, 3, 4)
    assert image.dtype == torch.float32
    assert np.allclose(image.numpy()[0] * 255, pixels)
    assert image.meta["filename_or_obj"].endswith("film.png")


def test_dicom_brings_its_spacing_and_leaves_its_patient_behind(real_dicom, tmp_path):
    film = pydicom.dcmread(next(real_dicom.rglob("RG3_UNCR.dcm")))
    film.PatientName, film.PatientID = "CANARY^NAME", "CANARY77"
    film.PixelSpacing = [0.2, 0.1]
    film.save_as(tmp_path / "film.dcm")
    image = LoadRadiographd(keys="image")({"image": tmp_path / "film.dcm"})["image"]
    assert image.meta["spacing_mm"] == (0.2, 0.1)
    assert image.affine.diagonal().tolist() == [0.2, 0.1, 1.0]
    assert "CANARY" not in repr(dict(image.meta))
    assert np.array_equal(image.numpy(), read_radiograph(tmp_path / "film.dcm").pixels)


def test_colour_becomes_grey_by_luma_and_grey_is_repeated():
    red = np.zeros((3, 2, 2), np.float32)
    red[0] = 1.0
    assert np.allclose(with_channels(red, 1), 0.299)
    grey = np.random.default_rng(0).random((1, 2, 2), np.float32)
    assert np.array_equal(with_channels(grey, 3), np.concatenate([grey] * 3))
    with pytest.raises(InputError, match="1 or 3 channels, got 2"):
        with_channels(red[:2], 1)


def test_bad_file_is_refused_with_its_reason(tmp_path):
    (tmp_path / "film.png").write_text("no film")
    with pytest.raises(InputError) as seen:
        LoadRadiographd(keys="image")({"image": tmp_path / "film.png"})
    assert seen.value.reason is Reason.NOT_AN_IMAGE


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match="expected 1 or 3 channels, got 2"):
        LoadRadiographd(keys="image", channels=2)
