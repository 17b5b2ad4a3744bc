"""Generated chest films: what they look like, and whether others can read them."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from sample_fixture import write_small_samples
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from pipelines.datasets.datalist import build_datalist
from pipelines.datasets.phantoms import write_samples
from pipelines.datasets.phantoms.chest import chest_film
from pipelines.datasets.phantoms.chest_samples import plan_chest_samples
from pipelines.errors import ConfigurationError
from pipelines.files import sha256
from pipelines.ingest.read import read_radiograph
from pipelines.labels import PNEUMONIA_CLASSES


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    directory = tmp_path_factory.mktemp("samples") / "chest"
    return directory, write_samples("chest", directory)


def test_the_default_set_is_small_and_in_the_layout_of_its_users(samples):
    directory, films = samples
    assert len(films) == 48
    assert sum(film.stat().st_size for film in films) < 20_000_000
    datalist = build_datalist(
        directory, classes=PNEUMONIA_CLASSES, require=("train", "val", "test")
    )
    assert [len(part) for part in (datalist.train, datalist.val, datalist.test)] == [28, 8, 12]
    assert datalist.notes == ()
    assert {film.suffix for film in films} == {".dcm", ".png"}


def test_some_patients_have_several_films_and_all_on_one_side(samples):
    datalist = build_datalist(samples[0])
    groups = [
        {item["group"] for item in part} for part in (datalist.train, datalist.val, datalist.test)
    ]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert len(groups[0]) < len(datalist.train)


def test_both_polarities_in_both_classes_and_equal_after_reading(samples):
    polarities = set()
    for film in samples[1]:
        if film.suffix == ".dcm":
            header = pydicom.dcmread(film, stop_before_pixels=True)
            polarities.add((film.parent.name, header.PhotometricInterpretation))
        pixels = read_radiograph(film).pixels
        assert pixels.shape == (1, 512, 420)
        # The spine is bright and the air beside the neck is dark, whatever the polarity.
        assert pixels[0, 420:500, 200:220].mean() > pixels[0, 5:40, 20:60].mean() + 0.2
    assert len(polarities) == 4


def test_dicom_headers(samples):
    films = [pydicom.dcmread(film) for film in samples[1] if film.suffix == ".dcm"]
    assert len({film.SOPInstanceUID for film in films}) == len(films)
    for film in films:
        assert film.PatientID.startswith("SAMPLE-")
        assert (film.BitsAllocated, film.BitsStored, film.HighBit) == (16, 12, 11)
        assert film.pixel_array.max() < 4096
        assert film.PresentationLUTShape == (
            "INVERSE" if film.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
        )


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (dicom3tools) is not installed")
def test_dicom_is_valid(samples):
    for film in [film for film in samples[1] if film.suffix == ".dcm"][:6]:
        said = subprocess.run(["dciodvfy", film], capture_output=True, text=True, check=False)
        assert "DXImageForPresentation" in said.stdout + said.stderr
        assert "Error" not in said.stderr


def test_films_with_an_opacity_differ_in_the_lungs_alone():
    for seed in range(3):
        healthy, ill = (
            chest_film(np.random.default_rng(seed), opacity=opacity) for opacity in (False, True)
        )
        assert healthy.dtype == np.float32
        assert 0 <= healthy.min() <= healthy.max() <= 1
        assert (ill - healthy).max() > 0.1
        assert np.abs(ill - healthy)[:60].max() < 0.02


def test_the_classes_can_be_learned_but_not_from_mean_brightness():
    labels = np.arange(160) % 2
    films = np.stack(
        [
            chest_film(np.random.default_rng(n), opacity=bool(label), shape=(64, 52))
            for n, label in enumerate(labels)
        ]
    )
    small = films.reshape(160, 16, 4, 13, 4).mean(axis=(2, 4)).reshape(160, -1)
    model = LogisticRegression(max_iter=2000).fit(small[:80], labels[:80])
    assert roc_auc_score(labels[80:], model.decision_function(small[80:])) > 0.85
    assert roc_auc_score(labels, films.mean(axis=(1, 2))) < 0.75


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    directory = tmp_path_factory.mktemp("small") / "set"
    write_small_samples("chest", directory, count=12)
    return directory


def test_the_same_seed_gives_the_same_files(small_set, tmp_path):
    first = sorted(path for path in small_set.rglob("*") if path.is_file())
    second = [*map(sha256, sorted(write_small_samples("chest", tmp_path / "b", count=12)))]
    other = [*map(sha256, write_small_samples("chest", tmp_path / "c", count=12, seed=1))]
    assert [*map(sha256, first)] == second
    assert not {*second} & {*other}


def test_writing_again_completes_the_same_set(small_set, tmp_path):
    shutil.copytree(small_set, tmp_path / "set")
    films = sorted(path for path in (tmp_path / "set").rglob("*") if path.is_file())
    kept = films[1].stat().st_mtime_ns
    films[0].unlink()
    assert sorted(write_small_samples("chest", tmp_path / "set", count=12)) == films
    assert films[0].is_file()
    assert films[1].stat().st_mtime_ns == kept
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("change", ["other seed", "other file"])
def test_a_folder_that_holds_something_else_is_left_alone(small_set, tmp_path, change):
    shutil.copytree(small_set, tmp_path, dirs_exist_ok=True)
    if change == "other file":
        (tmp_path / "mine.txt").write_text("precious")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ConfigurationError, match="expected an empty folder"):
        write_small_samples("chest", tmp_path, count=12, seed=int(change == "other seed"))
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_misspelt_set_gets_the_nearest_name(tmp_path):
    with pytest.raises(ConfigurationError, match="got 'chset'; did you mean 'chest'"):
        write_samples("chset", tmp_path)


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigurationError, match="expected a folder that can be written to"
    ) as caught:
        write_samples("chest", tmp_path / "file" / "set", count=12)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 11}, "expected 12 to 10000 films, got 11"),
        ({"count": -3}, "got -3"),
        ({"count": 100_000}, "got 100000"),
        ({"seed": -1}, "expected a seed of 0 or more, got -1"),
    ],
)
def test_numbers_out_of_range(tmp_path, options, said):
    with pytest.raises(ConfigurationError, match=said):
        write_samples("chest", tmp_path / "set", **options)
    assert not list(tmp_path.rglob("*.*"))


def test_what_a_killed_run_left_is_cleared(tmp_path):
    killed = tmp_path / ".samples-set" / "train"
    killed.mkdir(parents=True)
    (killed / "half.png").touch()
    write_small_samples("chest", tmp_path / "set", count=12)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_working_folder_can_be_written_into(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert len(write_small_samples("chest", Path(), count=12)) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("count", [12, 13, 48, 200])
def test_a_plan_has_both_classes_in_every_split(count):
    films = plan_chest_samples(count)
    assert len(films) == count + count % 2
    assert len({film.name for film in films}) == len(films)
    assert {(film.split, film.label) for film in films} == {
        (split, label) for split in ("train", "val", "test") for label in (0, 1)
    }
