"""Films a second of a node that two clients load at once, against `predict` on their folder.

Generated 12-bit DX films, half of them from each client (DCMTK's storescu, or pynetdicom where
that is not installed), all sent at once to `plainfilm serve` with the shipped DenseNet121; the
time goes from the first film that arrives to the last one that is predicted. `predict` runs on the
same folder before and after, and its own `films_per_second`, without start and tables, is taken.
Every film must be answered once, with the answer that `predict` gives. Run it from the repository
root:

    python benchmarks/node_load.py [--films 500] [--rows 512] [--columns 448] [--dicom sr]
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np

BUNDLE = "pneumonia_classification"
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.05


def main() -> None:
    """Make films, run all three, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--films", type=int, default=500)
    arguments.add_argument("--rows", type=int, default=512)
    arguments.add_argument("--columns", type=int, default=448)
    arguments.add_argument("--dicom", default="", help="kinds of objects that are made, e.g. sr")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_films(folder / "films", options.films, (options.rows, options.columns))
        before = predict(folder, "before", options.dicom)
        node = load_node(folder, options)
        after = predict(folder, "after", options.dicom)
        expected = answers_of(folder / "before")
    size = f"{options.rows}x{options.columns}"
    print(f"{options.films} films of {size}, 12 bits, native; objects: {options.dicom or 'none'}")
    print(f"{'':34} {'films/s':>8} {'core-ms a film':>15}")
    print(
        f"{'predict on their folder, before':34} {before['speed']:8.1f} {before['core_ms']:15.1f}"
    )
    print(f"{'node, two clients at once':34} {node['speed']:8.1f} {node['core_ms']:15.1f}")
    print(f"{'predict on their folder, after':34} {after['speed']:8.1f} {after['core_ms']:15.1f}")
    reference = statistics.mean([before["speed"], after["speed"]])
    print(f"node / predict: {node['speed'] / reference:.2f}")
    for count, megabytes in node["memory"].items():
        print(f"memory of the node after {count} films: {megabytes:.0f} MB")
    same = Counter(node["answers"]) == Counter(expected)
    print(f"answered: {len(node['answers'])} of {options.films}, the same as predict's: {same}")
    print(f"statuses: {node['statuses']}")


def write_films(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Write films with the noise and the gradients of real ones, no two alike."""
    from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx

    folder.mkdir()
    generator = np.random.default_rng(0)
    ramp = np.linspace(0.1, 0.8, size[0], dtype=np.float32)[:, None] * np.ones(size[1], np.float32)
    noise = generator.normal(0, 0.05, ramp.shape).astype(np.float32)
    for number in range(count):
        film = ramp * (0.5 + number / count / 2) + np.roll(noise, 7 * number, axis=1)
        header = FilmHeader(f"film {number}", "GENERATED", 1, inverted=False, sex="F", age_years=40)
        write_dx(folder / f"{number:04d}.dcm", np.clip(film, 0, 1), header=header)


def predict(folder: Path, name: str, dicom: str) -> dict[str, float]:
    """Run the command `predict` in a process of its own."""
    command = [sys.executable, "-m", "pipelines", "predict", BUNDLE, folder / "films"]
    command += [folder / name, "--set", f"dicom={dicom}"]
    before = os.times()
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    after = os.times()
    used = after.children_user - before.children_user
    used += after.children_system - before.children_system
    summary = json.loads((folder / name / "summary.json").read_text("utf-8"))
    return {
        "speed": summary["films_per_second"],
        "core_ms": used / summary["predicted"] * 1000,
    }


def answers_of(output: Path) -> list[float]:
    """Return the probabilities of a prediction, rounded to what batches in company may differ."""
    table = json.loads((output / "predictions.json").read_text("utf-8"))
    return [rounded(row) for row in table["predictions"]]


def rounded(record: dict) -> float:
    """Round a probability."""
    return round(record["probabilities"]["PNEUMONIA"], 6)


def load_node(folder: Path, options: argparse.Namespace) -> dict:
    """Start a node, send everything from two clients, wait for the last answer."""
    port = 11190
    rule = {"bundle": BUNDLE, "dicom": options.dicom.split(",") if options.dicom else []}
    if not options.dicom:
        del rule["dicom"]
    configuration = folder / "node.yaml"
    content = {
        "data_dir": "node",
        "dicom": {"port": port},
        "http": {"enabled": False},
        "rules": [rule],
    }
    configuration.write_text(json.dumps(content), "utf-8")  # JSON is YAML
    log = folder / "node.log"
    command = [sys.executable, "-m", "pipelines", "serve", str(configuration)]
    with log.open("wb") as written, subprocess.Popen(command, stderr=written) as node:
        wait_for(log, "node_ready", 1, node)
        started = core_seconds(node.pid)
        halves = halved(folder)
        clients = [subprocess.Popen(sender(port, half)) for half in halves]
        memory = {}
        for count in (100, options.films):
            wait_for(log, "film_predicted", count, node)
            memory[count] = resident_megabytes(node.pid)
        used = core_seconds(node.pid) - started
        statuses = [client.wait() for client in clients]
        node.terminate()
        node.wait()
    lines = log.read_text("utf-8").splitlines()
    seconds = moment(lines, "film_predicted", -1) - moment(lines, "film_queued", 0)
    results = [
        json.loads(path.read_text("utf-8"))["predictions"]
        for path in (folder / "node" / "results").rglob("prediction.json")
    ]
    return {
        "speed": options.films / seconds,
        "core_ms": used / options.films * 1000,
        "memory": memory,
        "answers": [rounded(record) for records in results for record in records],
        "statuses": statuses,
    }


def halved(folder: Path) -> list[Path]:
    """Link the films into two folders, one a client."""
    halves = [folder / "half0", folder / "half1"]
    for half in halves:
        half.mkdir()
    for number, film in enumerate(sorted((folder / "films").iterdir())):
        os.link(film, halves[number % 2] / film.name)
    return halves


def sender(port: int, films: Path) -> list[str]:
    """Return the command of a client."""
    if shutil.which("storescu"):
        address = ["-aec", "PLAINFILM", "127.0.0.1", str(port)]
        return ["storescu", "--max-pdu", "131072", *address, "+sd", str(films)]
    address = ["-aec", "PLAINFILM", "127.0.0.1", str(port)]
    return [sys.executable, "-m", "pynetdicom", "storescu", *address, str(films), "-r"]


def wait_for(log: Path, event: str, count: int, node: subprocess.Popen) -> None:
    """Wait until an event stands in the log so often."""
    while log.read_text("utf-8").count(f" {event} ") < count:
        if node.poll() is not None:
            sys.exit(f"the node ended: {log.read_text('utf-8')}")
        time.sleep(LOOK_SECONDS)


def moment(lines: list[str], event: str, place: int) -> float:
    """Return when an event happened, in seconds."""
    line = [each for each in lines if f" {event} " in each][place]
    return datetime.fromisoformat(re.match(r"\S+", line)[0]).timestamp()


def core_seconds(process: int) -> float:
    """Seconds of cores that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_megabytes(process: int) -> float:
    """Memory that a process holds now."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


if __name__ == "__main__":
    main()
