"""Small grey pictures agree with what the whole reader gives, whatever the format."""

import cv2
import numpy as np
import pytest

from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
from pipelines.errors import InputError
from pipelines.ingest.preview import read_preview
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.sniff import FileFormat


def film(height=300, width=420):
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return 0.5 + 0.3 * np.sin(rows / 40) * np.cos(columns / 55) + 0.2 * (columns > width / 2)


def written(path, pixels, *options):
    levels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, levels, list(options))[1].tobytes())
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("shape", [(300, 420), (1100, 900), (60, 50)])
def test_a_preview_is_the_film_made_small(tmp_path, suffix, shape):
    path = written(tmp_path / f"film{suffix}", film(*shape))
    preview = read_preview(path, side=64)
    whole = read_radiograph(path).pixels[0]
    method = cv2.INTER_AREA if min(shape) > 64 else cv2.INTER_LINEAR
    assert (preview.height, preview.width, preview.bits) == (*shape, 8)
    assert preview.grey.shape == (64, 64)
    expected = cv2.resize(whole, (64, 64), interpolation=method) * 255
    assert np.abs(preview.grey - expected).mean() < 3


def test_a_dicom_film_tells_its_depth_and_spacing(tmp_path):
    path = tmp_path / "film"
    header = FilmHeader("a", "GENERATED", 1, inverted=True, sex="F", age_years=4)
    write_dx(path, film().clip(0, 1), header=header)
    preview = read_preview(path, side=32)
    assert preview.file_format is FileFormat.DICOM
    assert preview.bits > 8
    assert preview.has_spacing == (read_radiograph(path).spacing_mm is not None)
    assert preview.grey[:, 20:].mean() > preview.grey[:, :12].mean()


def test_colour_counts_by_its_brightness(tmp_path):
    colour = np.zeros((40, 40, 3), np.float32)
    colour[..., 1] = 1
    path = written(tmp_path / "green.png", colour)
    assert read_preview(path, side=8).grey.mean() == pytest.approx(0.587 * 255, abs=1)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_file_that_ends_early_is_refused_as_the_reader_does(tmp_path, suffix):
    path = written(tmp_path / f"film{suffix}", film())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError) as seen:
        read_preview(path, side=32)
    with pytest.raises(InputError) as whole:
        read_radiograph(path)
    assert seen.value.reason is whole.value.reason


def test_a_turned_jpeg_is_turned(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(np.rint(film().clip(0, 1) * 255).astype(np.uint8))
    picture.save(tmp_path / "turned.jpg", exif=exif)
    preview = read_preview(tmp_path / "turned.jpg", side=32)
    assert (preview.height, preview.width) == (420, 300)
