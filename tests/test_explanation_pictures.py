import numpy as np
import pytest
from PIL import Image

from pipelines.errors import ConfigurationError
from pipelines.evaluation.explanation_pictures import write_explanation


@pytest.mark.parametrize("channels", [1, 3])
def test_film_stands_untouched_beside_its_heat_map(tmp_path, channels):
    film = np.random.default_rng(0).random((channels, 40, 160), dtype=np.float32)
    heat = np.zeros((40, 160), np.float32)
    heat[:, 80:] = 1
    path = tmp_path / "sub" / "a.dcm.png"
    write_explanation(
        path, film, {"map": heat}, title="PNEUMONIA 97.0%", filename="sub/a.dcm", side=160
    )
    picture = np.asarray(Image.open(path)).astype(int)
    assert picture.shape == (40 + 64 + 64, 2 * 160 + 3 * 16, 3)
    plain, covered = picture[64:104, 16:176], picture[64:104, 192:352]
    levels = np.round(film * 255).astype(int)
    assert np.array_equal(plain, np.broadcast_to(np.moveaxis(levels, 0, -1), plain.shape))
    assert np.array_equal(covered[:, :80], plain[:, :80])
    warmer = covered[:, 80:] - plain[:, 80:]
    assert warmer[..., 0].mean() > 50  # the hot end of the map is pale yellow
    assert picture[:64].max() > 200  # a title
    assert np.ptp(picture[104:], axis=-1).max() > 50  # a legend in colours


def test_heat_grows_lighter_so_that_it_is_read_without_colour(tmp_path):
    film = np.full((1, 16, 256), 0.4, np.float32)
    heat = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (16, 1))
    write_explanation(tmp_path / "a.png", film, {"map": heat}, title="", side=256)
    grey = np.asarray(Image.open(tmp_path / "a.png").convert("L")).astype(int)
    row = grey[72, 288:544]
    assert row[-1] - row[128] > 60
    assert np.diff(row[96:]).min() >= -1


def test_heat_of_another_size_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="expected a heat map of the film's size"):
        write_explanation(
            tmp_path / "a.png", np.zeros((1, 4, 4)), {"map": np.zeros((4, 5), np.float32)}, title=""
        )
