"""Films read at a lower resolution lie where the whole film lies, and look as it does."""

from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from corpus.dicom_films import encoded, written
from corpus.dicom_syntax_cases import JPEG_2000, JPEG_BASELINE
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import InputError, Reason
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.reduction import block_means, reduced_size, reduction
from pipelines.transforms.blocks import resize_blocks
from pipelines.transforms.chains import efficientnet_preprocessing, radiograph_preprocessing
from pipelines.transforms.photographs import photograph_preprocessing
from pipelines.transforms.reconstruction import reconstruction_preprocessing
from pipelines.transforms.segmentation_chains import segmentation_preprocessing

HEIGHT, WIDTH = 301, 262
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
EIGHT = {"WindowCenter": 128, "WindowWidth": 256}
Grey = npt.NDArray[np.uint16]


def least(side: int) -> Callable[[int, int], tuple[int, int]]:
    return lambda height, width: (side, side)


@pytest.fixture(scope="module")
def grey() -> Grey:
    """12 bits, as smooth as a film: a ramp, a disc and a little noise."""
    generator = np.random.default_rng(5)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = np.hypot(rows - 120, columns - 150) < 70
    values = 500 + 6 * rows + 3 * columns + 900 * disc + generator.normal(0, 20, rows.shape)
    blurred = cv2.GaussianBlur(values, (0, 0), 2.5)
    return np.clip(blurred, 0, 4095).astype(np.uint16)


def jpeg_2000(pixels: Grey, *, levels: int = 5) -> bytes:
    """One tile, lossless."""
    stream = imagecodecs.jpeg2k_encode(
        pixels,
        level=0,
        codecformat="j2k",
        reversible=True,
        bitspersample=12,
        resolutions=levels + 1,
    )
    return bytes(stream)


def jpeg(pixels: Grey) -> bytes:
    return bytes(imagecodecs.jpeg8_encode((pixels >> 4).astype(np.uint8), level=95))


@pytest.fixture(scope="module")
def files(grey, tmp_path_factory) -> dict[str, Path]:
    """One film, in every way that is reduced in its own way."""
    folder = tmp_path_factory.mktemp("films")
    eight = (grey >> 4).astype(np.uint8)
    films = {
        "native": written(grey, **WINDOW),
        "signed": written(
            grey.astype(np.int16) - 2048,
            BitsStored=16,
            HighBit=15,
            WindowCenter=0,
            WindowWidth=4096,
        ),
        # An old overlay in the highest bit: contents cannot be averaged, greys can.
        "overlay": written(grey | 0x8000, **WINDOW),
        "eight": written(eight, **EIGHT),
        "jpeg_2000": encoded(jpeg_2000(grey), JPEG_2000, grey, **WINDOW),
        "jpeg": encoded(jpeg(grey), JPEG_BASELINE, eight, **EIGHT),
    }
    found = {name: folder / f"{name}.dcm" for name in films}
    for name, write in films.items():
        write(found[name])
    for name, suffix in (("png", "png"), ("photo", "jpg")):
        found[name] = folder / f"{name}.{suffix}"
        Image.fromarray(eight).save(found[name])
    return found


NAMES = ("native", "signed", "overlay", "eight", "jpeg_2000", "jpeg", "png", "photo")


@pytest.mark.parametrize("name", NAMES)
def test_a_reduced_film_is_the_film(files, name):
    whole, reduced = (
        read_radiograph(files[name]),
        read_radiograph(files[name], least_size=least(37)),
    )
    assert reduced.reduced_by == 4
    assert reduced.pixels.shape == (1, *reduced_size(HEIGHT, WIDTH, 4))
    assert reduced.size == whole.size == (HEIGHT, WIDTH)
    assert (reduced.spacing_mm, reduced.identity) == (whole.spacing_mm, whole.identity)
    means = block_means(whole.pixels[0], 4)
    # The last blocks of a lossy or wavelet codestream hold what the encoder put beyond the edge.
    assert np.abs(reduced.pixels[0] - means)[:-1, :-1].max() < 0.012


@pytest.mark.parametrize("name", NAMES)
def test_what_is_needed_whole_is_read_whole(files, name):
    whole, same = read_radiograph(files[name]), read_radiograph(files[name], least_size=least(200))
    assert same.reduced_by == 1
    assert np.array_equal(same.pixels, whole.pixels)


CHAINS = {
    "squeezed": lambda reduced: radiograph_preprocessing(32, film_size=37, reduced_reading=reduced),
    "middle": lambda reduced: efficientnet_preprocessing(37, reduced_reading=reduced),
    "photograph": lambda reduced: photograph_preprocessing(
        32, film_size=37, reduced_reading=reduced
    ),
    "reconstruction": lambda reduced: reconstruction_preprocessing(37, reduced_reading=reduced),
    "letterbox": lambda reduced: segmentation_preprocessing(
        40, 40, classes=["bone"], reduced_reading=reduced
    ),
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("name", ["native", "jpeg_2000", "jpeg"])
def test_a_network_sees_the_same_at_the_same_place(files, chain, name):
    whole, reduced = (
        CHAINS[chain](reduced)({"image": files[name], "frame": 0}) for reduced in (False, True)
    )
    spread = float(whole["image"].std())
    assert whole["image"].shape == reduced["image"].shape
    assert 0 < float((whole["image"] - reduced["image"]).abs().max()) < 0.1 * spread
    assert reduced["original_size"] == (HEIGHT, WIDTH)
    assert "reduced_by" not in reduced
    ours, theirs = reduced.get("placement"), whole.get("placement")
    assert type(ours) is type(theirs)
    maps = np.arange(37 * 37, dtype=np.float32).reshape(1, 37, 37)
    if theirs is not None and chain != "letterbox":
        assert np.allclose(ours.to_film(maps), theirs.to_film(maps), atol=1e-3)
    assert chain != "letterbox" or ours == theirs


def test_a_codestream_without_levels_is_decoded_whole(grey, tmp_path):
    path = tmp_path / "film.dcm"
    encoded(jpeg_2000(grey, levels=1), JPEG_2000, grey, **WINDOW)(path)
    whole, reduced = read_radiograph(path), read_radiograph(path, least_size=least(37))
    assert (whole.provenance.decoder, reduced.provenance.decoder) == ("imagecodecs", "imagecodecs")
    assert np.abs(reduced.pixels[0] - block_means(whole.pixels[0], 4)).max() < 1e-3


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["jpeg_2000", "jpeg"])
def test_a_damaged_codestream_is_refused_as_the_whole_film_is(grey, name, kept, tmp_path):
    syntax, encode = {"jpeg_2000": (JPEG_2000, jpeg_2000), "jpeg": (JPEG_BASELINE, jpeg)}[name]
    stream = encode(grey)
    pixels = grey if name == "jpeg_2000" else (grey >> 4).astype(np.uint8)
    path = tmp_path / "film.dcm"
    encoded(stream[: int(len(stream) * kept)], syntax, pixels)(path)
    reasons = set()
    for needed in (None, least(37)):
        with pytest.raises(InputError) as refusal:
            read_radiograph(path, least_size=needed)
        reasons.add(refusal.value.reason)
    assert len(reasons) == 1


def test_a_truncated_photograph_is_refused(files, tmp_path):
    path = tmp_path / "film.jpg"
    path.write_bytes(files["photo"].read_bytes()[:-2000])
    with pytest.raises(InputError) as refusal:
        read_radiograph(path, least_size=least(37))
    assert refusal.value.reason is Reason.TRUNCATED


def test_a_turned_photograph_lies_as_it_should(grey, tmp_path):
    path = tmp_path / "film.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray((grey >> 4).astype(np.uint8)).save(path, exif=exif, quality=95)
    whole, reduced = read_radiograph(path), read_radiograph(path, least_size=least(37))
    assert reduced.size == (WIDTH, HEIGHT)
    assert np.allclose(reduced.pixels[0], block_means(whole.pixels[0], 4), atol=1e-6)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    factor=st.sampled_from([1, 2, 4, 8]),
    value=st.integers(0, 65535),
)
@settings(max_examples=60, deadline=None)
def test_means_of_blocks_keep_a_flat_film_flat(height, width, factor, value):
    means = block_means(np.full((height, width), value, np.uint16), factor)
    assert means.shape == reduced_size(height, width, factor)
    assert (means == value).all()


@given(
    height=st.integers(64, 400),
    width=st.integers(64, 400),
    factor=st.sampled_from([2, 4, 8]),
    size=st.integers(2, 16),
)
@settings(max_examples=60, deadline=None)
def test_blocks_give_the_areas_of_a_ramp(height, width, factor, size):
    ramp = np.add.outer(np.arange(height), 2.0 * np.arange(width)).astype(np.float32)
    whole = tuple(side // factor * factor for side in (height, width))
    blocks = block_means(ramp[: whole[0], : whole[1]], factor)
    extent = (whole[0] / factor, whole[1] / factor)
    size = min(size, *blocks.shape)
    areas = resize_blocks(blocks[None], height=size, width=size, extent=extent)[0]
    rows, columns = ((np.arange(size) + 0.5) * side / size - 0.5 for side in whole)
    assert np.allclose(areas, np.add.outer(rows, 2 * columns), atol=1e-2)


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), side=st.integers(1, 600))
@settings(max_examples=100, deadline=None)
def test_no_more_is_left_out_than_may_be(height, width, side):
    factor = reduction(height, width, least(side))
    assert factor in {1, 2, 4, 8}
    assert factor == 1 or min(height, width) / factor >= 1.75 * side
