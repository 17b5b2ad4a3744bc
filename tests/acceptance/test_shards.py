"""Shards as processes of their own: one killed in the middle costs time and nothing else."""

import json
import time
from pathlib import Path

import pytest
from bundle_fixture import write_png, write_tiny_bundle
from process_fixture import Command, run_command


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny").root


def test_a_shard_killed_and_given_again_ends_in_the_same_tables(bundle, tmp_path):
    films, output = tmp_path / "films", tmp_path / "sharded"
    for number in range(60):
        write_png(films / f"{number:03d}.png", seed=number, size=(600, 600))
    (films / "notes.txt").write_text("not an image")
    assert run_command("predict", bundle, films, tmp_path / "whole").returncode == 0
    first = ("predict", bundle, films, output, "--shard", "0/2")
    journal = output / "shard-00000-of-00002" / ".journal.jsonl"
    with Command(*first) as process:
        deadline = time.monotonic() + 120
        while not journal.exists() or journal.read_bytes().count(b"\n") <= 8:
            assert process.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline, "no progress"
            time.sleep(0.01)
        process.kill()
    assert run_command("predict", bundle, films, output, "--shard", "1/2").returncode == 0
    early = run_command("merge", output)
    assert early.returncode == 2
    assert "1 not: 'shard-00000-of-00002'" in early.stderr
    again = run_command(*first)
    assert again.returncode == 0, again.stderr
    assert "shard 0/2 is done; when all are: plainfilm merge" in again.stdout
    merged = run_command("merge", output)
    assert merged.returncode == 0, merged.stderr
    assert "61 inputs: 60 predicted, 1 skipped, 0 failed" in merged.stdout
    summary = json.loads((output / "summary.json").read_text("utf-8"))
    assert 8 <= summary["from_earlier_run"] < 60
    for table in ("predictions.csv", "failures.csv", "contact_sheet.png"):
        assert (output / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()
    assert run_command("predict", bundle, films, output, "--shard", "2/2").returncode == 2
