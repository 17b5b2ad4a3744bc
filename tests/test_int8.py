"""INT8: films calibrate, others of other patients judge, and the table says what it costs."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
import torch
from bundle_fixture import one_torch_thread, write_png, write_tiny_bundle

from pipelines.cli import main
from pipelines.deploy import export
from pipelines.deploy.export_films import FoundFilm, draw, find_films
from pipelines.deploy.export_table import Judge, Row, as_text
from pipelines.errors import ConfigurationError, RunError
from pipelines.ingest.collect import Item
from pipelines.labels import PNEUMONIA_CLASSES


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle, and films of ten patients, two each, in folders of the classes."""
    root = tmp_path_factory.mktemp("int8")
    bundle = write_tiny_bundle(root / "tiny")
    for patient in range(10):
        for film in range(2):
            name = f"person{patient + 1}_bacteria_{2 * patient + film + 1}.png"
            folder = root / "films" / PNEUMONIA_CLASSES[patient % 2]
            folder.mkdir(parents=True, exist_ok=True)
            write_png(folder / name, seed=10 * patient + film)
    return bundle, root / "films"


def test_a_quantised_file_is_judged_by_films_that_did_not_calibrate_it(
    made, tmp_path, capsys, monkeypatch
):
    bundle, films = made
    path = tmp_path / "net.xml"
    given = ["export", str(bundle.root), "--format", "openvino", "--int8", "--output", str(path)]
    # A network with random weights tells nothing apart, so its AUROC may become any.
    monkeypatch.setattr(export, "AUROC_TOLERANCE", 1.0)
    with one_torch_thread():
        assert main([*given, "--calibration", str(films), "--films", "12"]) == 0
    said = capsys.readouterr()
    kept = json.loads((tmp_path / "net.xml.json").read_text("utf-8"))
    reference, quantised = kept["table"]
    assert (reference["format"], quantised["format"]) == ("torch float32", "openvino int8")
    assert reference["films"] == quantised["films"] == 8
    assert reference["largest_change"] == 0 < quantised["largest_change"] < 0.1
    assert quantised["auroc"] == pytest.approx(reference["auroc"] + quantised["auroc_change"])
    with (tmp_path / "net.xml.csv").open(encoding="utf-8") as content:
        formats = [row["format"] for row in csv.DictReader(content)]
    assert formats == ["torch float32", "openvino int8"]
    assert "FakeQuantize" in path.read_text("utf-8")
    assert path.with_suffix(".bin").is_file()
    assert "judged by 8 films" in said.out


def test_a_worse_auroc_is_refused():
    row = Row("openvino int8", 1.0, 1.0, 1.0, 9, 0.1, 0.1, 0.9, -0.0021, -0.003, 0.0)
    with pytest.raises(RunError, match=r"differs by -0\.0021; nothing was written"):
        export._refuse_worse(row)
    export._refuse_worse(replace(row, auroc_change=-0.0019))


def test_films_that_calibrate_and_judge_are_refused(made, capsys):
    bundle, films = made
    given = ["export", str(bundle.root), "--format", "openvino", "--int8"]
    assert main([*given, "--calibration", str(films), "--evaluate", str(films)]) == 2
    assert "got 20 that are in both" in capsys.readouterr().err
    assert main(["export", str(bundle.root), "--int8", "--calibration", str(films)]) == 2
    assert "expected --format openvino for --int8" in capsys.readouterr().err


def test_too_few_films_are_refused(made, tmp_path, capsys):
    bundle, films = made
    shutil.copy(next(films.rglob("*.png")), tmp_path)
    given = ["export", str(bundle.root), "--format", "openvino", "--int8"]
    assert main([*given, "--calibration", str(tmp_path)]) == 2
    assert "expected at least 8 films for calibration, got 1" in capsys.readouterr().err


def test_labels_come_from_folders_and_patients_are_drawn_whole(made):
    _, folder = made
    films = find_films(folder, PNEUMONIA_CLASSES)
    assert {film.label for film in films} == {0, 1}
    for count in range(1, 21):
        drawn, rest = draw(films, count)
        assert len(drawn) + len(rest) == 20
        assert count <= len(drawn) <= count + 1
        assert not {film.group for film in drawn} & {film.group for film in rest}
        assert draw(films, count) == (drawn, rest)


def test_films_without_a_known_patient_stand_for_themselves(tmp_path):
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name)
    assert len({film.group for film in find_films(tmp_path, ("x", "y"))}) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="expected films in 'empty'"):
        find_films(tmp_path / "empty", ())
    assert draw([FoundFilm(Item(tmp_path, "a"), None, "a")], 5)[1] == []


def test_without_films_the_table_says_so():
    judge = Judge(export._noise((1, 8, 8)), None, known=False)
    rows = [
        judge.row("a", torch.nn.Identity(), []),
        judge.row("b", lambda images: 1.5 * images, []),
    ]
    assert rows[1].films == 0
    assert rows[1].largest_change > rows[1].mean_change > 0
    assert "judged by noise" in as_text(rows)
    assert torch.isfinite(torch.tensor(rows[1].one_film_ms))
