"""Generated photographs of lesions: layout, views of one lesion, and whether kinds differ."""

import cv2
import numpy as np
import pytest
from sample_fixture import write_small_samples
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.datasets.datalist import build_datalist
from pipelines.datasets.lesions import find_lesions
from pipelines.datasets.phantoms import write_samples
from pipelines.datasets.phantoms.skin import KINDS, lesion_photograph
from pipelines.datasets.phantoms.skin_samples import plan_skin_samples
from pipelines.errors import ConfigurationError
from pipelines.files import sha256
from pipelines.ingest.read import read_radiograph


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    directory = tmp_path_factory.mktemp("samples") / "skin"
    return directory, write_samples("skin", directory)


def test_the_default_set_has_the_layout_of_its_users_and_three_splits(samples):
    directory, files = samples
    assert sum(file.stat().st_size for file in files) < 2_000_000
    assert len(list((directory / "images").iterdir())) == 48
    assert len(list((directory / "masks").iterdir())) == 24
    datalist = build_datalist(
        directory, val_fraction=0.15, test_fraction=0.15, require=("train", "val", "test")
    )
    assert datalist.classes == tuple(KINDS)
    assert datalist.notes == ()
    groups = [{each["group"] for each in part} for part in (datalist.train, datalist.val)]
    assert not groups[0] & groups[1]
    assert len(groups[0]) < len(datalist.train)


def test_the_same_arguments_give_the_same_bytes(tmp_path):
    once, again = (write_small_samples("skin", tmp_path / name, count=21) for name in "ab")
    assert [sha256(file) for file in once] == [sha256(file) for file in again]
    other = write_small_samples("skin", tmp_path / "other", count=21, seed=1)
    assert sha256(other[1]) != sha256(again[1])


def test_a_mask_covers_the_lesion_that_the_photograph_shows(samples):
    directory, _ = samples
    differences = []
    for mask in sorted((directory / "masks").iterdir()):
        inside = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) >= 128
        film = read_radiograph(directory / "images" / f"{mask.stem}.jpg").pixels
        assert film.shape == (3, *inside.shape)
        assert 0.01 < inside.mean() < 0.5
        differences.append(np.abs(film[:, inside].mean(1) - film[:, ~inside].mean(1)).sum())
    assert np.mean(differences) > 0.3
    assert min(differences) > 0.02


def test_views_of_one_lesion_differ_and_lesions_differ_more():
    def seen(lesion, view):
        return lesion_photograph(
            np.random.default_rng(lesion),
            kind=KINDS["nv"],
            view=np.random.default_rng(view),
            shape=(60, 80),
        )[0]

    assert np.array_equal(seen(1, 1), seen(1, 1))
    assert not np.array_equal(seen(1, 1), seen(1, 2))
    assert not np.array_equal(seen(1, 1), seen(2, 1))


def test_kinds_can_be_told_apart_but_not_by_the_table():
    """Colours in the middle and near the edge already tell most kinds, by lesion."""
    features, labels = [], []
    for lesion in range(140):
        kind = lesion % len(KINDS)
        film, _ = lesion_photograph(
            np.random.default_rng(lesion),
            kind=list(KINDS.values())[kind],
            view=np.random.default_rng((1, lesion)),
            shape=(48, 64),
        )
        rings = [film[20:28, 28:36], film[14:34, 22:42], film[:8]]
        features.append(np.concatenate([[*ring.mean((0, 1)), *ring.std((0, 1))] for ring in rings]))
        labels.append(kind)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    model.fit(features[:98], labels[:98])
    assert model.score(features[98:], labels[98:]) > 0.6


def test_too_few_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="expected 21 to 10000 photographs, got 20"):
        write_samples("skin", tmp_path / "a", count=20)
    write_small_samples("skin", tmp_path / "b", count=21)
    assert len(find_lesions(tmp_path / "b").films) == 21


@pytest.mark.parametrize("count", [21, 24, 28, 48, 100, 1000])
def test_every_kind_has_three_lesions_and_some_have_several_photographs(count):
    planned = plan_skin_samples(count)
    assert len(planned) == count
    lesions = {kind: {each.lesion for each in planned if each.kind == kind} for kind in KINDS}
    assert min(map(len, lesions.values())) >= 3
    assert (len({each.lesion for each in planned}) < count) == (count > 21)
    assert [each.number for each in planned] == list(range(1, count + 1))
