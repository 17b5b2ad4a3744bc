import cv2
import numpy as np
import pytest
import torch
from monai.transforms import Compose
from training_fixture import SIZE, chain, write_films

from pipelines.errors import DatasetError, InputError, Reason
from pipelines.training.dataset import RadiographDataset
from pipelines.training.sampling import Draw
from pipelines.transforms.augmentation import RandToned
from pipelines.transforms.geometry import ResizeShortSided
from pipelines.transforms.reading import LoadRadiographd


@pytest.fixture
def films(tmp_path):
    return write_films(tmp_path / "films", count=6)


def test_item_holds_image_and_label_and_nothing_of_the_patient(films):
    item = RadiographDataset(films, chain(noise=False))[1]
    assert set(item) == {"image", "label"}
    assert tuple(item["image"].shape) == (1, SIZE, SIZE)
    assert item["label"] == 1


def test_films_kept_in_memory_equal_films_read_anew(films, capsys):
    kept, anew = (RadiographDataset(films, chain(noise=True)) for _ in range(2))
    kept.read_all()
    assert "reading: 6 films" in capsys.readouterr().err
    for place in films:
        place["image"] += ".gone"  # what is kept is not read again
    for place, item in enumerate(films):
        item["image"] = item["image"].removesuffix(".gone")
        one, two = kept[Draw(place, 5)]["image"], anew[Draw(place, 5)]["image"]
        assert torch.allclose(one, two, atol=1e-3)


def test_normalised_films_are_kept_exactly(films):
    kept, anew = (RadiographDataset(films, chain(noise=False)) for _ in range(2))
    kept.read_all()
    for place in range(len(films)):
        assert torch.equal(kept[place]["image"], anew[place]["image"])
    assert min(float(kept[place]["image"].min()) for place in range(len(films))) < -0.5


def test_films_beyond_the_range_are_refused_where_they_would_be_cut(films):
    wrong = Compose([*chain(noise=False).transforms, *chain(noise=True).transforms[2:3]])
    with pytest.raises(DatasetError, match="films of 0 to 1 before the first random transform"):
        RadiographDataset(films, wrong).read_all()


def test_white_that_rounds_to_above_one_when_made_small_is_kept_as_white(tmp_path):
    films = write_films(tmp_path / "white", count=2)
    for film in films:
        cv2.imwrite(film["image"], np.full((224, 224), 255, np.uint8))
    reading = [LoadRadiographd(keys="image"), ResizeShortSided(keys="image", short_side=64)]
    assert float(Compose(reading)(films[0])["image"].max()) > 1
    data = RadiographDataset(films, Compose([*reading, RandToned(keys="image", prob=0.0)]))
    data.read_all()
    assert float(data[1]["image"].min()) == float(data[1]["image"].max()) == 1


def test_augmentation_follows_the_seed_of_the_draw_alone(films):
    data = RadiographDataset(films, chain(noise=True))
    first = data[Draw(0, 1)]["image"]
    data[Draw(3, 9)]
    assert torch.equal(data[Draw(0, 1)]["image"], first)
    assert not torch.equal(data[Draw(0, 2)]["image"], first)


def test_data_beyond_the_limit_is_read_each_time(films):
    data = RadiographDataset(films, chain(noise=False), cache_limit_gb=1e-9)
    data.read_all()
    expected = RadiographDataset(films, chain(noise=False))[2]["image"]
    assert torch.equal(data[2]["image"], expected)


def test_all_unreadable_films_are_counted_before_training(films, tmp_path):
    for place in (0, 3):
        (tmp_path / "films" / f"film{place:03d}.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    with pytest.raises(DatasetError, match=r"2 of 6 are not \(film000.png: ") as seen:
        RadiographDataset(films, chain(noise=False)).read_all()
    assert seen.value.reason in {Reason.CORRUPT, Reason.TRUNCATED, Reason.DECODE_FAILED}
    assert str(tmp_path) not in str(seen.value)


def test_films_of_different_shapes_are_refused_with_what_to_do(films, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "films" / "film004.png")
    with pytest.raises(DatasetError, match="resize them before the first random transform"):
        RadiographDataset(films, Compose([LoadRadiographd(keys="image")])).read_all()


class MaskOf:
    """Makes a small plane of a label that names a number."""

    def __call__(self, item):
        if item["label"] == "broken.json":
            raise InputError(Reason.CORRUPT, "expected 29 labels, got 28; add the missing one")
        return item | {"label": torch.full((1, 4, 4), int(item["label"]), dtype=torch.int32)}


class Doubled:
    """Stands for what unpacks masks: too large to keep."""

    makes_larger = True

    def __call__(self, item):
        return item | {"label": item["label"].repeat(2, 1, 1)}


@pytest.mark.parametrize("noise", [True, False], ids=["training", "validation"])
def test_masks_are_kept_as_they_are_and_unpacked_each_time(films, noise):
    for place, item in enumerate(films):
        item["label"] = str(2**28 + place)
    data = RadiographDataset(films, Compose([MaskOf(), *chain(noise=noise).transforms, Doubled()]))
    data.read_all()
    assert data._kept["label"].shape == (6, 1, 4, 4)
    assert data._kept["image"].dtype == (np.uint16 if noise else np.float32)
    films[3]["label"] = "gone"
    label = data[3]["label"]
    assert label.dtype == torch.int32
    assert torch.equal(label, torch.full((2, 4, 4), 2**28 + 3, dtype=torch.int32))
    label.zero_()
    assert data[3]["label"].any()


def test_broken_masks_are_named_before_training(films):
    for item in films:
        item["label"] = "1"
    films[2]["label"] = "broken.json"
    chained = Compose([MaskOf(), *chain(noise=True).transforms])
    with pytest.raises(DatasetError, match=r"1 of 6 are not \(film002.png: expected 29 labels"):
        RadiographDataset(films, chained).read_all()


def test_empty_data_is_read_without_error():
    data = RadiographDataset([], chain(noise=False))
    data.read_all()
    assert len(data) == 0
