"""One function for all formats."""

from pathlib import Path

import numpy as np
import pytest
from corpus.raster_images import GREY8, scaled
from corpus.volume_cases import BYTES, nifti
from PIL import Image

from pipelines.errors import InputError, Reason
from pipelines.ingest.read import read_header, read_radiograph


def test_raster_and_volume_by_content(tmp_path: Path):
    film = tmp_path / "film.dcm"
    Image.fromarray(GREY8).save(film, "PNG")
    radiograph = read_radiograph(film)
    np.testing.assert_array_equal(radiograph.pixels, scaled(GREY8, 255))
    assert radiograph.provenance.format == "png"
    assert radiograph.identity is None
    (tmp_path / "film.png").write_bytes(nifti(BYTES))
    radiograph = read_radiograph(str(tmp_path / "film.png"))
    assert radiograph.provenance.format == "nifti"
    assert radiograph.pixels.shape == (1, *BYTES.shape)


def test_real_dicom_with_identity(real_dicom: Path):
    [film] = real_dicom.rglob("RG3_UNCR.dcm")
    radiograph = read_radiograph(film)
    assert radiograph.pixels.shape == (1, 1760, 1760)
    assert radiograph.pixels.flags.c_contiguous
    identity = read_header(film).identity
    assert identity is not None
    assert identity == radiograph.identity
    assert identity.patient_id
    assert identity.patient_id not in repr(radiograph)


def test_raster_has_one_frame_and_no_identity(tmp_path: Path):
    film = tmp_path / "film.png"
    Image.fromarray(GREY8).save(film)
    assert read_header(film) is None
    with pytest.raises(InputError) as refusal:
        read_radiograph(film, frame=1)
    assert refusal.value.reason is Reason.NO_SUCH_FRAME


def test_unforeseen_errors_are_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    film = tmp_path / "film.png"
    Image.fromarray(GREY8).save(film)
    for error, reason in (
        (ValueError(f"Patient^Name in {film}"), Reason.INTERNAL),
        (MemoryError(), Reason.OUT_OF_MEMORY),
        (OSError(5, "Input/output error", str(film)), Reason.FILE_UNREADABLE),
    ):

        def fail(_: Path, error: Exception = error, **_options: object) -> None:
            raise error

        monkeypatch.setattr("pipelines.ingest.read.read_raster", fail)
        with pytest.raises(InputError) as refusal:
            read_radiograph(film)
        assert refusal.value.reason is reason
        assert str(tmp_path) not in str(refusal.value)
        assert "Patient" not in str(refusal.value)
