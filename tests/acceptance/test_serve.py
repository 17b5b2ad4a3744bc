"""The HTTP face of `serve`, as a whole process: page, one film, STOW-RS into the queue, status."""

import re
import subprocess
import sys

import httpx2
import pytest
import yaml
from bundle_fixture import write_dicom, write_tiny_bundle
from node_fixture import wait_until
from process_fixture import CHECKOUT, Command

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def test_a_node_answers_over_http_and_takes_over_stow(tmp_path):
    bundle = write_tiny_bundle(tmp_path / "tiny")
    content = {
        "data_dir": "data",
        "dicom": {"port": 0},
        "http": {"port": 0, "hosts": ["films.example"], "max_film_mb": 1},
        "rules": [{"bundle": str(bundle.root)}],
        "limits": {"free_disk_mb": 0},
    }
    (tmp_path / "node.yaml").write_text(yaml.safe_dump(content), "utf-8")
    films = [
        write_dicom(tmp_path / f"{n}.dcm", seed=n, name="CANARY^NAME", patient="CANARY-ID")
        for n in range(3)
    ]
    with Command("serve", tmp_path / "node.yaml") as command:
        wait_until(lambda: "node_ready" in command.said[1] or command.poll() is not None)
        assert command.poll() is None, command.said
        port = re.search(r"http_port=(\d+)", command.said[1])[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            probe = [sys.executable, str(CHECKOUT / "docker" / "health.py"), "127.0.0.1"]
            assert subprocess.run([*probe, port], check=False).returncode == 0
            page = client.get("/")
            assert page.headers["content-type"].startswith("text/html")
            assert "server" not in page.headers
            assert client.get("/health", headers={"Host": "films.example"}).status_code == 200
            assert client.get("/health", headers={"Host": "evil.example"}).status_code == 421

            answer = client.post("/predict", content=films[0].read_bytes()).json()
            assert answer["bundle"] == "tiny"
            assert sum(answer["record"]["probabilities"].values()) == pytest.approx(1)
            large = client.post("/predict", content=(bytes(100_000) for _ in range(20)))
            assert large.status_code == 413
            assert client.post("/predict", content=films[1].read_bytes()[:-50]).status_code == 422

            parts = b"".join(
                b"--here\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % film.read_bytes()
                for film in films
            )
            kind = 'multipart/related; type="application/dicom"; boundary=here'
            stored = client.post(
                "/dicom-web/studies", content=parts + b"--here--", headers={"Content-Type": kind}
            )
            assert stored.status_code == 200
            assert len(stored.json()["00081199"]["Value"]) == len(films)
            wait_until(lambda: client.get("/status").json()["node"]["films"]["done"] == len(films))
            counts = client.get("/metrics").text
            assert 'plainfilm_films{state="done"} 3.0' in counts
            assert 'plainfilm_http_films_total{bundle="tiny",outcome="truncated"} 1.0' in counts
        command.terminate()
        assert command.wait(60).returncode == 0
        assert "CANARY" not in "".join(command.said)
        assert subprocess.run([*probe, port], check=False).returncode == 1
    assert len(list((tmp_path / "data" / "results").iterdir())) == len(films)
