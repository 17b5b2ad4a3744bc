"""What a node loses and doubles when something fails: films by C-STORE in, reports by C-STORE out.

Each fault has a node of its own with the shipped DenseNet121, a sender that sends again whatever
was not answered with success, and an archive that notes the UID of every object. Counted are films
without a report in the archive (lost), reports beyond one a film (doubled), and objects that came
twice under one UID (sent again), which an archive keeps once. Run it from the repository root, as
root if the disk shall really fill:

    python benchmarks/node_faults.py [--films 60] [--away 60] [--kills 8] [--only killed]
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless
from pynetdicom import AE, evt

from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
from pipelines.deploy.node.events import quiet_libraries

BUNDLE = "pneumonia_classification"
SIZE = (256, 224)
CANARY = "CANARY"
DISK_MEGABYTES = 40
LONGEST_SECONDS = 600


def main() -> None:
    """Run every fault and print a row for each."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--films", type=int, default=60)
    arguments.add_argument("--away", type=float, default=60, help="seconds")
    arguments.add_argument("--kills", type=int, default=8)
    arguments.add_argument("--only", default="", help="a part of the name of a fault")
    options = arguments.parse_args()
    quiet_libraries()
    faults: dict[str, Callable[[Trial], None]] = {
        "nothing fails": nothing,
        f"destination away for {options.away:g} s": lambda trial: away(trial, options.away),
        "disk full": disk_full,
        f"process killed {options.kills} times": lambda trial: killed(trial, options.kills),
        "a corrupt film in the middle": corrupt,
        "associations dropped half-way": dropped,
    }
    print(f"{options.films} films of {SIZE[0]}x{SIZE[1]} a fault")
    print(f"{'fault':34} {'lost':>5} {'doubled':>8} {'sent again':>11}  in the log")
    for name in filter(lambda each: options.only in each, faults):
        with tempfile.TemporaryDirectory() as folder, trial_in(Path(folder), options.films) as made:
            faults[name](made)
            print(f"{name:34} {made.row()}", flush=True)


@dataclass
class Trial:
    """A node, what is sent to it, and what came out.

    Attributes:
        folder: For everything.
        films: What is sent.
        port: Where the node listens.
        archive_port: Where the archive listens, or will listen.
        arrived: UIDs of objects in the archive, in order.
        expected: How many reports there shall be.
    """

    folder: Path
    films: list[Path]
    port: int
    archive_port: int
    arrived: list[str] = field(default_factory=list)
    expected: int = 0
    node: subprocess.Popen | None = None

    @property
    def log(self) -> str:
        """Everything that the node has logged, over all its starts."""
        return (self.folder / "node.log").read_text("utf-8")

    def start(self) -> None:
        """Start the node and wait until it is ready."""
        ready = self.log.count(" node_ready ") if (self.folder / "node.log").exists() else 0
        command = [sys.executable, "-m", "pipelines", "serve", str(self.folder / "node.yaml")]
        with (self.folder / "node.log").open("ab") as log:
            self.node = subprocess.Popen(command, stderr=log)
        until(lambda: self.log.count(" node_ready ") > ready or self.node.poll() is not None)

    def kill(self) -> None:
        """End the node as a power cut would."""
        self.node.kill()
        self.node.wait()

    def done(self) -> bool:
        """Whether a report of each film is in the archive."""
        return len(set(self.arrived)) >= self.expected

    def row(self) -> str:
        """Wait for the end and count."""
        until(self.done)
        self.node.send_signal(signal.SIGTERM)
        self.node.wait(60)
        different = len(set(self.arrived))
        counts = (self.expected - different, max(0, different - self.expected))
        reasons = Counter(re.findall(r"reason=(\w+)", self.log))
        said = ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "no reason"
        if CANARY in self.log or any(uid in self.log for uid in self.arrived):
            said += "; PATIENT DATA"
        lost, doubled = (max(0, count) for count in counts)
        return f"{lost:5} {doubled:8} {len(self.arrived) - different:11}  {said}"


@contextlib.contextmanager
def trial_in(folder: Path, count: int) -> Iterator[Trial]:
    """Make films and a configuration; end the node whatever happens."""
    films = write_films(folder / "films", count)
    trial = Trial(folder, films, free_port(), free_port(), expected=count)
    configuration = {
        "data_dir": "node",
        "dicom": {"port": trial.port},
        "http": {"enabled": False},
        "rules": [{"bundle": BUNDLE, "dicom": "sr", "destinations": "archive"}],
        "destinations": {
            "archive": {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": trial.archive_port}
        },
        "delivery": {"first_wait_seconds": 0.5, "longest_wait_seconds": 10},
        "limits": {"free_disk_mb": 1},
    }
    (folder / "node.yaml").write_text(json.dumps(configuration), "utf-8")
    try:
        yield trial
    finally:
        if trial.node is not None and trial.node.poll() is None:
            trial.kill()
        if os.path.ismount(folder / "node"):
            subprocess.run(["umount", str(folder / "node")], check=True)


def write_films(folder: Path, count: int) -> list[Path]:
    """Write films with the noise of real ones, no two alike, of a patient to look for in logs."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    films = []
    for number in range(count):
        film = generator.random(SIZE, np.float32) * 0.2 + number / count / 2
        header = FilmHeader(
            f"film {number}", f"{CANARY}-{number}", 1, inverted=False, sex="F", age_years=40
        )
        films.append(folder / f"{number:03d}.dcm")
        write_dx(films[-1], film, header=header)
    return films


def nothing(trial: Trial) -> None:
    """Send everything."""
    with archive(trial):
        trial.start()
        send_all(trial)
        until(trial.done)


def away(trial: Trial, seconds: float) -> None:
    """Let the archive come up only after a while."""
    trial.start()
    send_all(trial)
    time.sleep(seconds)
    with archive(trial):
        until(trial.done)


def disk_full(trial: Trial) -> None:
    """Fill the node's disk while films come, and make room again."""
    disk = trial.folder / "node"
    disk.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    ).returncode
    if not mounted:
        configuration = json.loads((trial.folder / "node.yaml").read_text("utf-8"))
        free = shutil.disk_usage(trial.folder).free / 1e6
        configuration["limits"]["free_disk_mb"] = free - DISK_MEGABYTES
        (trial.folder / "node.yaml").write_text(json.dumps(configuration), "utf-8")
    with archive(trial):
        trial.start()
        left = trial.films
        for share in (0.9, 0.99, 1.0):  # at 1.0 results cannot be written either
            ballast(trial, share, mounted=mounted)
            left = send(trial, left)
            (trial.folder / "node" / "ballast").unlink(missing_ok=True)
            (trial.folder / "ballast").unlink(missing_ok=True)
        send_all(trial, left)
        until(trial.done)


def ballast(trial: Trial, share: float, *, mounted: bool) -> None:
    """Leave little of the disk, or nothing."""
    place = trial.folder / "node" if mounted else trial.folder
    free = DISK_MEGABYTES * 1e6 if not mounted else shutil.disk_usage(place).free
    with contextlib.suppress(OSError), (place / "ballast").open("wb") as file:
        file.write(bytes(int(free * share)))


def killed(trial: Trial, kills: int) -> None:
    """Kill the node at random points while films come and results go."""
    generator = random.Random(0)
    with archive(trial):
        left = trial.films
        share = len(trial.films) // (kills + 1)
        for _ in range(kills):
            trial.start()
            event = generator.choice((" film_queued ", " film_predicted ", " delivered "))
            point = trial.log.count(event) + generator.randint(1, share)
            part, left = left[:share], left[share:]
            with ThreadPoolExecutor(1) as sender:
                sending = sender.submit(send, trial, part)
                until(lambda name=event, count=point: trial.log.count(name) >= count)
                trial.kill()
                left = [*sending.result(), *left]
        trial.start()
        send_all(trial, left)
        until(trial.done)


def corrupt(trial: Trial) -> None:
    """Send two damaged films among the others: one whose header tells, one whose pixels do."""
    middle = len(trial.films) // 2
    cut, scrambled = trial.films[middle : middle + 2]
    dataset = pydicom.dcmread(cut)
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]
    dataset.save_as(cut)
    dataset = pydicom.dcmread(scrambled)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.PixelData = encapsulate([b"\xff" * 2000])
    dataset.save_as(scrambled)
    trial.expected -= 2
    with archive(trial):
        trial.start()
        send_all(trial)
        until(trial.done)
    until(lambda: " film_failed " in trial.log and " film_kept " in trial.log)


def dropped(trial: Trial) -> None:
    """Kill senders while they send."""
    with archive(trial):
        trial.start()
        generator = random.Random(0)
        command = [sys.executable, "-m", "pynetdicom", "storescu", "-aec", "PLAINFILM"]
        command += ["127.0.0.1", str(trial.port), str(trial.films[0].parent), "-r"]
        for _ in range(5):
            queued = trial.log.count(" film_")
            with subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as sender:
                until(lambda so_far=queued: trial.log.count(" film_") > so_far)
                time.sleep(generator.uniform(0, 0.3))
                sender.kill()
        send_a_part(trial)
        send_all(trial)
        until(trial.done)


def send_a_part(trial: Trial) -> None:
    """Send a part of a film and close the connection."""
    entity = AE("SENDER")
    header = pydicom.dcmread(trial.films[0], stop_before_pixels=True)
    entity.add_requested_context(header.SOPClassUID, header.file_meta.TransferSyntaxUID)
    entity.dimse_timeout = 2
    association = entity.associate("127.0.0.1", trial.port, ae_title="PLAINFILM")
    transport = association.dul.socket
    sent = transport.send
    left = [2]

    def cut(data: bytes) -> None:
        left[0] -= 1
        sent(data if left[0] else data[: len(data) // 2])
        if not left[0]:
            transport.socket.shutdown(socket.SHUT_RDWR)

    transport.send = cut
    association.send_c_store(trial.films[0])
    until(lambda: " association_dropped " in trial.log)


def send_all(trial: Trial, films: list[Path] | None = None) -> None:
    """Send until every film has been answered with success."""
    left = trial.films if films is None else films
    while left:
        left = send(trial, left)
        if left:
            time.sleep(0.5)


def send(trial: Trial, films: list[Path]) -> list[Path]:
    """Send films over one association; return those that were not answered with success."""
    entity = AE("SENDER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for sop_class, syntax in {
        (header.SOPClassUID, header.file_meta.TransferSyntaxUID)
        for header in (pydicom.dcmread(film, stop_before_pixels=True) for film in films)
    }:
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", trial.port, ae_title="PLAINFILM")
    left = []
    for film in films:
        answer = association.send_c_store(film) if association.is_established else {}
        if answer.get("Status") != 0:
            left.append(film)
    if association.is_established:
        association.release()
    return left


@contextlib.contextmanager
def archive(trial: Trial) -> Iterator[None]:
    """Take objects and note their UIDs."""
    entity = AE("ARCHIVE")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.88.34")

    def store(event: evt.Event) -> int:
        trial.arrived.append(str(event.dataset.SOPInstanceUID))
        return 0

    server = entity.start_server(
        ("127.0.0.1", trial.archive_port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        yield
    finally:
        server.shutdown()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def until(holds: Callable[[], object]) -> None:
    """Wait for a state."""
    end = time.monotonic() + LONGEST_SECONDS
    while not holds():
        if time.monotonic() > end:
            sys.exit("the state that was waited for never came")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
