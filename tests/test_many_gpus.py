"""The paper on many GPUs: what the formula says at its ends."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def paper(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    import many_gpus

    yield many_gpus
    sys.modules.pop("many_gpus")


def test_a_step_is_compute_waits_and_what_of_the_exchange_does_not_fit(paper):
    load = paper.Load("net", weights=25_000_000, norms=10, work=1e10, speed=1e13)
    alone = paper.step(load, films=8, gpus=1)
    assert (alone.exchange, alone.norms, alone.efficiency) == (0, 0, 1)
    assert alone.seconds == pytest.approx(8e-3)

    eight = paper.step(load, films=8, gpus=8)
    assert eight.exchange == pytest.approx(2 * 7 / 8 * 100e6 / 200e9)
    assert eight.norms == pytest.approx(20 * 25e-6)
    assert eight.seconds == pytest.approx(8e-3 + 5e-4), "the exchange fits beside the backward pass"

    slow = paper.step(load, films=8, gpus=64, between=paper.BETWEEN["25 Gb/s"])
    between = 2 * 7 / 8 * 100e6 / 3.125e9
    assert slow.exchange == pytest.approx(eight.exchange + between)
    assert slow.seconds == pytest.approx(8e-3 + 20 * 100e-6 + slow.exchange - 2 / 3 * 8e-3)


def test_more_films_and_quicker_links_never_cost_efficiency(paper):
    load = paper.Load("net", weights=4_000_000, norms=49, work=2e9, speed=5e12)
    found = [
        [paper.step(load, films=films, gpus=64, between=each).efficiency for films in (1, 4, 32)]
        for each in paper.BETWEEN.values()
    ]
    for row in found:
        assert row == sorted(row)
    for column in zip(*found, strict=True):
        assert list(column) == sorted(column)
