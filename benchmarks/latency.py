"""Milliseconds of one film in a running service, against its decoding and its network alone.

`plainfilm serve` runs in a process of its own with the shipped DenseNet121; a client sends it one
film after the other, by `POST /predict` over one connection that is kept. By turns with that the
same film is answered by a `Predictor` in this process, and decoded, prepared and given to the bare
network: weights, precision, mirror image and threads are those of the service, and nothing else is
done. Both films are generated: a 12-bit DX film of 2048 x 1792 pixels as it comes from a detector,
and a JPEG of 224 x 224. Run it from the repository root:

    python benchmarks/latency.py [--repeats 30] [--json FILE]
"""

import http.client
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import measuring
from start import write_film

BUNDLE = "pneumonia_classification"
REPEATS = 30
WARM_UP = 3
PAUSE_SECONDS = 0.1  # threads of PyTorch wait in a busy loop for some time after their work
TARGET = 1.3
START_SECONDS = 120
KINDS = {"film.dcm": "application/dicom", "film.jpg": "image/jpeg"}
FILMS = {"film.dcm": "DX 2048x1792", "film.jpg": "JPEG 224x224"}
WAYS = {"service": "HTTP", "predictor": "`Predictor`"}


def main() -> None:
    """Start the service, measure all ways by turns, print the table."""
    parser = measuring.arguments(__doc__)
    parser.set_defaults(repeats=REPEATS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_films(folder)
        with service(folder) as (process, port):
            taken = {name: measure(folder / name, port, options.repeats) for name in FILMS}
            peak = peak_megabytes(process.pid)
    figures = [
        measuring.Figure(
            name=f"one film, {FILMS[film]}, by {words}, median",
            unit="ms",
            ours=(ours := 1000 * statistics.median(times[way])),
            limit=(limit := 1000 * statistics.median(times["alone"])),
            ratio=ours / limit,
            of="ours / decode and network alone",
            target=TARGET,
            more_is_better=False,
            peak_megabytes=peak if way == "service" else None,
        )
        for film, times in taken.items()
        for way, words in WAYS.items()
    ]
    measuring.report(figures, options.json)


def write_films(folder: Path) -> None:
    """Write the film of a detector, and a small one."""
    from PIL import Image

    from pipelines.ingest.read import read_radiograph

    write_film(folder / "film.dcm")
    grey = (read_radiograph(folder / "film.dcm").pixels[0] * 255).round().astype("uint8")
    Image.fromarray(grey).resize((224, 224)).save(folder / "film.jpg", quality=92)


@contextmanager
def service(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a node, and give its process and port once it answers."""
    port = free_port()
    node = folder / "node.yaml"
    content = {
        "data_dir": "node",
        "dicom": {"port": free_port()},
        "http": {"port": port},
        "rules": [{"bundle": BUNDLE}],
    }
    node.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "serve", str(node)], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, process)
        yield process, port
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the service does not answer")


def measure(film: Path, port: int, repeats: int) -> Mapping[str, Sequence[float]]:
    """Take seconds of every way by turns, so that whatever else the machine does meets all."""
    ways = {**in_process(film), "service": sender(film, port)}
    for run in ways.values():
        for _ in range(WARM_UP):
            run()
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            time.sleep(PAUSE_SECONDS)
            began = time.perf_counter()
            run()
            taken[way].append(time.perf_counter() - began)
    return taken


def sender(film: Path, port: int) -> Callable[[], None]:
    """Return what sends a film and reads the answer, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    content = film.read_bytes()

    def send() -> None:
        try:
            connection.request("POST", "/predict", content, {"Content-Type": KINDS[film.name]})
        except ConnectionError:  # the service ends connections that are idle for long
            connection.close()
            connection.request("POST", "/predict", content, {"Content-Type": KINDS[film.name]})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"the service refused the film: {said.decode()}")

    return send


def in_process(film: Path) -> Mapping[str, Callable[[], object]]:
    """Return what answers a film in this process, whole and bare."""
    import torch

    from pipelines.inference.configuration import InferenceConfiguration
    from pipelines.inference.predictor import Predictor
    from pipelines.ingest.read import read_radiograph
    from pipelines.networks.device import autocast
    from pipelines.workflows.bundle import find_bundle

    bundle = find_bundle(BUNDLE)
    predictor = Predictor.from_bundle(bundle)
    network = predictor.engine.load().to(memory_format=torch.channels_last)
    inferer = InferenceConfiguration(bundle, {}).build("inferer")
    device = predictor.engine.device

    @torch.inference_mode()
    def alone() -> object:
        image = predictor.prepare(read_radiograph(film)).image[None].to(device)
        with autocast(device):
            return inferer(image.to(memory_format=torch.channels_last), network).float().cpu()

    return {"predictor": lambda: predictor.predict(read_radiograph(film)), "alone": alone}


def peak_megabytes(process: int) -> float | None:
    """Largest resident memory of another process so far; None where the system does not tell."""
    told = Path(f"/proc/{process}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", told.read_text("utf-8")) if told.is_file() else None
    return int(found[1]) / 1024 if found else None


if __name__ == "__main__":
    main()
