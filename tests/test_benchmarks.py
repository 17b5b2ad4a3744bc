import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
WORKS = """
import measuring
options = measuring.arguments("Works.").parse_args()
print("not part of the table")
measuring.report(
    [
        measuring.Figure("quick", "s", 1.0, 0.5, "ours / peer", 1.0, False, 2.0, "a peer"),
        measuring.Figure("slow", "films/s", 3.0, 0.75, "ours / limit", 0.9, limit=4.0),
    ],
    options.json,
)
"""
BREAKS = "import sys\nprint('half a table')\nsys.exit('no such film')"


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("all_benchmarks", BENCHMARKS / "all.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "works.py").write_text(WORKS)
    (tmp_path / "breaks.py").write_text(BREAKS)
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "SCRIPTS", {"breaks": (), "works": ("--repeats", "1")})
    yield module
    sys.modules.pop("measuring", None)


def test_every_named_script_is_there(benchmarks):
    spec = importlib.util.spec_from_file_location("named", BENCHMARKS / "all.py")
    named = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(named)
    assert [name for name in named.SCRIPTS if not (BENCHMARKS / f"{name}.py").is_file()] == []


def test_a_script_that_fails_is_named_and_the_others_go_on(
    benchmarks, tmp_path, monkeypatch, capfd
):
    results = tmp_path / "results"
    monkeypatch.setattr(sys, "argv", ["all.py", "--output", str(results)])
    assert benchmarks.main() == 1
    said = capfd.readouterr()
    assert "breaks failed, exit status 1: no such film" in said.err
    assert "| quick | s | 1 | 2 (a peer) |  | 0.5 (ours / peer) | ≤ 1 | yes |  |" in said.out
    assert "| slow | films/s | 3 |  | 4 | 0.75 (ours / limit) | ≥ 0.9 | no |  |" in said.out
    assert "1 of 2 targets reached" in said.out
    assert said.out.rstrip().endswith("Failed: breaks.")
    assert "half a table" not in said.out
    (table,), (figures,) = list(results.glob("*.md")), list(results.glob("*.json"))
    assert table.read_text().strip() == said.out.strip()
    kept = json.loads(figures.read_text())
    assert kept["failed"] == ["breaks"]
    assert [each["name"] for each in kept["figures"]] == ["quick", "slow"]
    assert kept["machine"]["cores"] >= 1


def test_what_all_reach_ends_well(benchmarks, tmp_path, monkeypatch):
    arguments = ["all.py", "--only", "works", "--output", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert benchmarks.main() == 0
