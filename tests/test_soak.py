"""The soak in short: some rounds leave no descriptor and no thread behind, and growth is seen."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_png, write_tiny_bundle

pytestmark = pytest.mark.filterwarnings(
    # MONAI imports PyTorch's deprecated scripting while it loads.
    "ignore:`torch.jit:DeprecationWarning"
)
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("soak")
    for name in ("soak", "mixed_films", "measuring"):
        sys.modules.pop(name, None)


def test_rounds_leave_nothing_behind_and_answer_alike(soak, tmp_path):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    films = tmp_path / "films"
    write_png(films / "film.png")
    write_dicom(films / "film.dcm")
    native = (films / "film.dcm").read_bytes()
    (films / "cut_off.dcm").write_bytes(native[: len(native) // 2])
    (films / "letter.txt").write_text("no film")

    with one_torch_thread():
        soak.soak(films, str(bundle.root), seconds=0, every=60)
        before = soak.sample(0, 0)
        seen = soak.soak(films, str(bundle.root), seconds=0, every=0.05, rounds=3)

    assert seen.different == 0
    assert (seen.rounds, seen.films) == (3, 24)
    assert len(seen.samples) > 1
    assert len(seen.ends) == 3
    assert seen.ends[-1].in_use < 1.05 * seen.ends[0].in_use + 5
    after = seen.samples[-1]
    left = (after.descriptors, after.threads, after.children)
    assert left == (before.descriptors, before.threads, before.children)
    assert 10 < after.megabytes < 10_000


def test_a_leak_is_told_from_noise(soak):
    noise = np.random.default_rng(0).normal(0, 3, 360)

    def grown(megabytes_an_hour: float):
        return soak.growth(
            [
                soak.Sample(10.0 * n, 500 + megabytes_an_hour * n / 360 + each, 5, 2, 0, n)
                for n, each in enumerate(noise)
            ]
        )

    flat, leaking = grown(0), grown(100)
    assert flat.low < 0 < flat.high < soak.MOST_MEGABYTES_AN_HOUR
    assert leaking.low < 100 < leaking.high
    assert leaking.low > soak.MOST_MEGABYTES_AN_HOUR
    assert leaking.last - leaking.first > 50
