"""Seconds and memory of the leak check over 10,000 films, against decoding the same files once.

The films are those of a folder, shown again with other noise until there are enough, or, without a
folder, generated chest films with other noise each: JPEG of 224 x 224 pixels and quality 75. One
film in fifty is a copy of another, turned, mirrored, cropped or compressed anew, and the table says
how many of these were found. Each side runs in a process of its own. From the repository root:

    python benchmarks/leakage.py [--films 10000] [--folder DIR]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

SIDES = {"check": "the whole check", "decode": "decoding alone, with OpenCV"}
SIDE = 224
_EACH = 50
_DRAWN = 400


def main() -> None:
    """Measure both sides and print the table, or measure one in this process."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--films", type=int, default=10_000)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copies = write_films(folder, options.films, source=options.folder)
        results = {side: in_own_process(side, folder) for side in SIDES}
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{options.films} JPEG files, {os.cpu_count()} cores, load {load}")
    print(f"{'':30} {'seconds':>8} {'core-s':>8} {'ratio':>6} {'peak MB':>8}")
    for side, words in SIDES.items():
        told = results[side]
        ratio = told["core_s"] / results["decode"]["core_s"]
        numbers = (
            f"{told['seconds']:8.1f} {told['core_s']:8.1f} {ratio:6.1f} {told['peak_mb']:8.0f}"
        )
        print(f"{words:30} {numbers}")
    print(f"copies found: {results['check']['found']} pairs, of {copies} made")


def write_films(folder: Path, count: int, *, source: Path | None) -> int:
    """Write the films, and return how many of them are copies."""
    random = np.random.default_rng(0)
    originals = _originals(source)
    copies = 0
    previous = originals[0]
    for number in range(count):
        if number % _EACH == _EACH - 1:
            film, copies = _changed(previous, copies), copies + 1
        else:
            film = _another(originals[number % len(originals)], random)
        previous = film
        encoded = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
        (folder / f"{number:05d}.jpg").write_bytes(encoded.tobytes())
    return copies


def _originals(source: Path | None) -> list[np.ndarray]:
    if source is not None:
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        films = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths)
        return [cv2.resize(film, (SIDE, SIDE)) for film in films if film is not None]
    from pipelines.datasets.phantoms.chest import chest_film

    drawn = (
        chest_film(np.random.default_rng(seed), opacity=seed % 2 == 1, shape=(SIDE, SIDE))
        for seed in range(_DRAWN)
    )
    return [np.rint(film * 255).astype(np.uint8) for film in drawn]


def _another(film: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Bend a film softly, so that it is another one."""
    bend = random.normal(0, 1, (2, 7, 7)).astype(np.float32) * 7
    moved = [cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for each in bend]
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    return cv2.remap(film, columns + moved[0], rows + moved[1], cv2.INTER_LINEAR)


def _changed(film: np.ndarray, number: int) -> np.ndarray:
    turn = cv2.getRotationMatrix2D((SIDE / 2 - 0.5, SIDE / 2 - 0.5), 15, 1)
    return (
        cv2.warpAffine(film, turn, (SIDE, SIDE)),
        np.ascontiguousarray(film[:, ::-1]),
        film[6:-6, 6:-6],
        cv2.imdecode(cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0),
        np.ascontiguousarray(np.rot90(film)),
    )[number % 5]


def in_own_process(side: str, folder: Path) -> dict[str, float]:
    """Measure one side in a fresh process."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    environment = dict(os.environ, XDG_CACHE_HOME=str(folder / "cache"))
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def measure(side: str, folder: Path) -> dict[str, float]:
    """Run one side and say what it took."""
    paths = sorted(folder.glob("*.jpg"))
    started, used = time.perf_counter(), _core_seconds()
    found = _check(paths) if side == "check" else _decode(paths)
    return {
        "seconds": time.perf_counter() - started,
        "core_s": _core_seconds() - used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "found": found,
    }


def _check(paths: list[Path]) -> int:
    from pipelines.datasets.copies import FilmCopies

    return len(FilmCopies(paths).near)


def _decode(paths: list[Path]) -> int:
    def decode(path: Path) -> int:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        return len(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE))

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as readers:
        return sum(readers.map(decode, paths))


def _core_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
