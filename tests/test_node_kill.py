"""A node that is killed at any point loses no film and sends no result twice."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from bundle_fixture import write_dicom, write_tiny_bundle
from node_fixture import Archive, dicom_archive, send, wait_until
from process_fixture import Command

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def write_configuration(folder: Path, archive: Archive) -> Path:
    bundle = write_tiny_bundle(folder / "tiny")
    content = {
        "data_dir": "data",
        "dicom": {"port": 0},
        "http": {"enabled": False},
        "rules": [{"bundle": str(bundle.root), "dicom": "sr", "destinations": "archive"}],
        "destinations": {
            "archive": {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": archive.port}
        },
        "delivery": {"first_wait_seconds": 0.05, "longest_wait_seconds": 0.2},
        "limits": {"free_disk_mb": 0},
    }
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def started(path: Path) -> Command:
    command = Command("serve", path)
    wait_until(lambda: "node_ready" in command.said[1] or command.poll() is not None)
    return command


def port_of(command: Command) -> int:
    found = re.search(r"dicom_port=(\d+)", command.said[1])
    assert found is not None, command.said
    return int(found[1])


def test_kills_lose_and_double_nothing(tmp_path):
    films = [
        write_dicom(tmp_path / "films" / f"{n}.dcm", seed=n, name="CANARY^NAME") for n in range(9)
    ]
    said = ""
    with dicom_archive() as archive:
        path = write_configuration(tmp_path, archive)
        points = ("film_queued", "delivered ", None)
        for number, point in enumerate(points):
            with started(path) as command:
                sent = films[number * 3 : number * 3 + 3]
                assert send(port_of(command), sent) == [0] * 3
                if point is not None:
                    wait_until(lambda at=point: at in command.said[1])
                    command.kill()
                else:
                    wait_until(lambda: len(set(archive.uids)) == len(films))
                    command.terminate()
                    assert command.wait(60).returncode == 0
                said += command.said[1]
    assert len(set(archive.uids)) == len(films)
    assert max(Counter(archive.uids).values()) <= 2, "sent again only where a kill cut it off"
    results = list((tmp_path / "data" / "results").iterdir())
    assert len(results) == len(films)
    assert all(len(list(each.glob("sr-*.dcm"))) == 1 for each in results)
    assert "CANARY" not in said
    assert "node_stopped" in said
