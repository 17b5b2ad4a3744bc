"""What is refused before Ray is started, and what goes to workers unreadable."""

import importlib.util

import pytest
from bundle_fixture import write_png, write_tiny_bundle

from pipelines.cli import main
from pipelines.deploy.ray_batch.blocks import Block, packed, unpacked
from pipelines.deploy.ray_batch.cluster import require_ray
from pipelines.errors import ConfigurationError, Reason
from pipelines.ingest.collect import Item


def test_without_ray_the_command_that_installs_it_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'plainfilm\[ray\]'") as refused:
        require_ray()
    assert refused.value.reason is Reason.CONFIGURATION


def test_an_address_is_for_ray_alone(tmp_path, capsys):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    write_png(tmp_path / "films" / "1.png")
    given = ["predict", bundle.root, tmp_path / "films", tmp_path / "out", "--address", "h:6379"]
    assert main([*map(str, given)]) == 2
    assert "expected --executor ray beside --address" in capsys.readouterr().err
    assert main([*map(str, given), "--executor", "dask"]) == 2
    assert not (tmp_path / "out").exists()


def test_blocks_hold_no_readable_name(tmp_path):
    block = Block(tuple((n, Item(tmp_path / f"DOE^{n}", f"DOE^{n}")) for n in range(20)))
    content = packed(block)
    assert unpacked(content) == block
    assert b"DOE^1" not in content
