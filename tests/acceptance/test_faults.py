"""Whatever ends a run, the same command completes it: the short form of `benchmarks/faults.py`."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Small runs of every stage, and one kill of each."""
    sys.path.insert(0, str(BENCHMARKS))  # of the processes that it starts, too
    import faults

    yield faults.Bench(tmp_path_factory.mktemp("faults"), kills=1, seed=0)
    sys.path.remove(str(BENCHMARKS))


def holds(bench, fault, stage):
    row = bench.measure(fault, stage)
    assert row.tries > 0
    assert row.holds, "\n".join(row.problems)
    return row


@pytest.mark.parametrize("stage", ["train", "predict", "datalist", "film cache"])
def test_a_killed_run_is_completed(bench, stage):
    holds(bench, "kill -9", stage)


@pytest.mark.parametrize(
    ("fault", "stage"),
    [
        ("no memory for a film", "predict"),
        ("damaged cache", "film cache"),
        ("damaged cache", "engine cache"),
        ("two runs at once", "film cache"),
    ],
)
def test_a_disturbed_run_is_completed(bench, fault, stage):
    holds(bench, fault, stage)


@pytest.mark.parametrize("fault", ["full disk", "read-only output"])
@pytest.mark.parametrize("stage", ["datalist", "film cache"])
def test_a_disk_that_takes_nothing_is_said_plainly(bench, fault, stage, tmp_path):
    import fault_kinds

    if not fault_kinds.can_mount(tmp_path):
        pytest.skip("a disk of its own needs the right to mount one")
    row = holds(bench, fault, stage)
    assert row.said == {"output_unwritable": row.tries}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "stage"),
    [
        *(("SIGTERM", stage) for stage in ("train", "predict", "datalist")),
        *(("input removed", stage) for stage in ("train", "predict", "datalist")),
        *(("clock set back", stage) for stage in ("train", "predict")),
        *(("two runs at once", stage) for stage in ("train", "predict")),
        ("damaged checkpoint", "train"),
        ("loader killed", "train"),
        ("interrupted download", "train"),
    ],
)
def test_a_disturbed_run_is_completed_whatever_it_is(bench, fault, stage):
    holds(bench, fault, stage)
