"""The fuzzing in short: some hundred mutated files and bundles, and what watches over the tries."""

import importlib
import os
import signal
import sys
from pathlib import Path

import pytest

from pipelines.errors import Reason

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FILES = {"dicom": 150, "png": 70, "jpeg": 70}
CONFIGS = 60


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        before = {*sys.modules}
        yield importlib.import_module("fuzz")
        for name in {*sys.modules} - before:
            if name.partition(".")[0] in {
                "fuzz",
                "trying",
                "mutations",
                "mixed_films",
                "measuring",
            }:
                del sys.modules[name]


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_are_read_or_refused_with_a_reason(fuzz, kind, tmp_path):
    attempt = fuzz.make_try(kind, 0, tmp_path)
    outcomes = [attempt(number) for number in range(FILES[kind])]
    assert {*outcomes} <= {"read", *map(str, Reason)} - {"internal"}
    assert len({*outcomes}) > 4, "mutations that get past the first check"
    assert 0.05 < outcomes.count("read") / len(outcomes) < 0.5


def test_mutated_bundles_are_checked_or_refused_with_a_reason(fuzz, tmp_path):
    attempt = fuzz.make_try("config", 0, tmp_path)
    outcomes = [attempt(number) for number in range(CONFIGS)]
    assert {*outcomes} <= {"no problem", "problems", *map(str, Reason)} - {"internal"}
    assert outcomes.count("problems") > CONFIGS // 3


def test_a_number_makes_the_same_file_again(fuzz):
    made = [fuzz.mutate("png", fuzz.begin("png"), fuzz._random("png", 3, 7)) for _ in range(2)]
    assert made[0] == made[1]


def make_hostile(_folder):
    """Return tries of which some take their process with them."""

    def attempt(number: int) -> str:
        if number == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 4:
            while True:
                pass
        if number == 6:
            bytearray(b"x") * 300_000_000
        return "no reason: Surprise" if number == 8 else "read"

    return attempt


def test_a_try_that_kills_hangs_or_eats_memory_is_the_one_that_is_named(fuzz, monkeypatch, capfd):
    trying = sys.modules["trying"]
    monkeypatch.setattr(trying, "MOST_MEGABYTES", 250)
    records = trying.run(make_hostile, 12, hang_seconds=1.5)
    found = trying.tally("hostile", records)
    assert found.bad == {2: "crash", 4: "hang", 6: "memory", 8: "no reason: Surprise"}
    assert found.outcomes["read"] == 8
    assert found.megabytes[1] == 6
    assert found.seconds[1] == 4
    assert "try 2 ended the process (SIGSEGV)" in capfd.readouterr().err
    assert "| hostile | 12 | 8 | 0 | 1 | 1 | 1 | 0 | 1 |" in fuzz.table([found])
