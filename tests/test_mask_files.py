import nibabel
import numpy as np
import pytest
from PIL import Image

from pipelines.errors import InputError, Reason
from pipelines.ingest.masks import read_mask
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.size import read_size

LEVELS = np.array([[0, 1, 2], [3, 29, 255]], dtype=np.uint8)


def test_grey_png_keeps_its_levels(tmp_path):
    Image.fromarray(LEVELS).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), LEVELS[None])


@pytest.mark.parametrize("mode", ["1", "I;16"])
def test_one_and_sixteen_bits_keep_their_levels(tmp_path, mode):
    levels = LEVELS > 1 if mode == "1" else LEVELS.astype(np.uint16) * 257
    Image.fromarray(levels).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), levels[None].astype(int))


def test_colour_is_refused(tmp_path):
    Image.fromarray(np.stack([LEVELS, LEVELS // 2, LEVELS], axis=2)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="expected a mask in grey"):
        read_mask(tmp_path / "mask.png")


@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 1), (30, 20, 4), (30, 20, 1, 4)])
def test_nifti_lies_as_films_are_read(tmp_path, shape):
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.int16)
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    levels = read_mask(path)
    assert levels.shape == (4 if shape[-1] == 4 else 1, 20, 30)
    assert np.array_equal(levels[-1], values.reshape(30, 20, -1)[..., -1].T)
    if levels.shape[0] == 1:
        film = read_radiograph(path).pixels
        assert film.shape == levels.shape
        assert np.all(np.diff(film.ravel()[np.argsort(levels, axis=None)]) >= 0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((3, 2), 0.5, np.float32), Reason.CORRUPT),
        (np.full((3, 2), np.nan, np.float32), Reason.CORRUPT),
        (np.zeros((3, 2, 4, 5), np.uint8), Reason.VOLUME),
    ],
    ids=["fractions", "not a number", "too many axes"],
)
def test_nifti_that_is_no_mask_is_refused(tmp_path, values, reason):
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "mask.nii")
    with pytest.raises(InputError) as seen:
        read_mask(tmp_path / "mask.nii")
    assert seen.value.reason is reason


def test_cut_nifti_is_refused(tmp_path):
    path = tmp_path / "mask.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((30, 20), np.uint8), np.eye(4)), path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError) as seen:
        read_mask(path)
    assert seen.value.reason in {Reason.TRUNCATED, Reason.DECODE_FAILED, Reason.FILE_UNREADABLE}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_film_as_it_is_read(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "film.png", exif=exif)
    assert (
        read_size(tmp_path / "film.png") == read_radiograph(tmp_path / "film.png").pixels.shape[1:]
    )


def test_size_of_a_volume_format_is_that_of_its_slice(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.eye(30, 20), np.eye(4)), tmp_path / "film.nii")
    assert read_size(tmp_path / "film.nii") == (20, 30)
