"""`benchmark`: engines by turns, each in a process of its own, and what is written of them."""

import csv
import json

import pytest
from bundle_fixture import write_tiny_bundle
from PIL import Image
from process_fixture import context

from pipelines.cli import main
from pipelines.deploy.benchmark import contestants
from pipelines.deploy.benchmark.contestants import Shape
from pipelines.deploy.benchmark.rounds import as_text, measure, write


class Made:
    """An engine that takes as long as it is told."""

    def __init__(self, name, milliseconds, megabytes=1.0):
        self.name, self.megabytes = name, megabytes
        self._seconds = milliseconds / 1000
        self.asked = []

    def seconds(self, films, *, warm_up, runs):
        self.asked.append((films, warm_up, runs))
        return [self._seconds * films * factor for factor in (0.9, 1.0, 1.1)]


SHAPE: Shape = (1, 32, 32)


def test_engines_take_turns_and_are_compared_with_the_first(tmp_path):
    engines = [Made("torch", 20), Made("openvino", 4, 2.0)]
    lines = measure(engines, rounds=3, batch=4)
    assert [each.engine for each in lines] == ["torch", "openvino"]
    assert lines[0].speed_up_one_image == lines[0].speed_up_batches == 1
    assert lines[1].speed_up_one_image == pytest.approx(5)
    assert lines[1].speed_up_batches == pytest.approx(5)
    assert lines[1].one_image_ms == pytest.approx(4)
    assert lines[1].one_image_ms_sd == pytest.approx(4 * 0.0816, rel=1e-2)
    assert all(warm_up >= 1 for each in engines for _, warm_up, _ in each.asked)
    assert [films for films, _, _ in engines[0].asked] == [1, 4] * 3

    write(tmp_path / "out", lines, shape=SHAPE, batch=4, bundle="tiny")
    with (tmp_path / "out" / "benchmark.csv").open(encoding="utf-8") as content:
        rows = list(csv.DictReader(content))
    assert [float(row["speed_up_one_image"]) for row in rows] == pytest.approx([1, 5])
    kept = json.loads((tmp_path / "out" / "benchmark.json").read_text("utf-8"))
    assert (kept["bundle"], kept["film"], kept["batch"]) == ("tiny", [1, 32, 32], 4)
    assert "cores" in kept["machine"]
    with Image.open(tmp_path / "out" / "benchmark.png") as picture:
        assert picture.width > picture.height
    said = as_text(lines, shape=SHAPE, batch=4)
    assert said.splitlines()[2].split()[:6] == ["openvino", "2.0", "4.00", "±", "0.33", "4.00"]
    assert kept["machine"] in said


def test_the_verb_measures_engines_in_processes_of_their_own(tmp_path, capsys, monkeypatch):
    # Forked from what has been imported: started anew, each imports PyTorch for some seconds.
    monkeypatch.setattr(contestants, "get_context", lambda _: context)
    bundle = write_tiny_bundle(tmp_path / "tiny")
    given = ["benchmark", str(bundle.root), "--engines", "openvino", "--rounds", "1"]
    assert main([*given, "--batch", "2", "--film-size", "32", "--output", str(tmp_path / "b")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["torch", "openvino"]
    assert "films 1x32x32, batches of 2" in lines[3]
    assert (tmp_path / "b" / "benchmark.png").is_file()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--engines", "openvin"], "did you mean 'openvino'"),
        (["--engines", "none.onnx"], "no exported file named 'none.onnx'"),
        (["--batch", "0"], "expected --batch of at least 1, got 0"),
    ],
)
def test_wrong_use_is_refused(more, said, tmp_path, capsys):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    assert main(["benchmark", str(bundle.root), *more]) == 2
    assert said in capsys.readouterr().err
