"""Seconds from a command to its answer: `--help`, `list`, `check`, and `predict` of one film.

Every command is a process of its own, as users start it. The first three are given as multiples
of the bare interpreter, whose own start no program can go below; `predict` as a multiple of
`import monai`, which the same prediction by `python -m monai.bundle run` begins with. The film is
a generated 12-bit DX film of 2048 x 1792 pixels, the bundle is shipped with weights. Run it from
the repository root:

    python benchmarks/start.py [--repeats 5] [--json FILE]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measuring
import numpy as np

BUNDLE = "pneumonia_classification"
JOURNAL = ".journal.jsonl"
PLAINFILM = (sys.executable, "-m", "pipelines")
BARE = (sys.executable, "-c", "pass")
MONAI = (sys.executable, "-c", "import monai")
LIGHT = {"--help": 15.0, "list": 15.0, "check": 25.0}
PREDICT = {"its first prediction": 1.0, "its end": 1.0}


def main() -> None:
    """Measure all commands and print the table."""
    options = measuring.arguments(__doc__).parse_args()
    bare = seconds(BARE, repeats=max(5, options.repeats))
    figures = [
        measuring.Figure(
            name=f"`plainfilm {verb}`" + (" of all bundles" if verb == "check" else ""),
            unit="s",
            ours=(ours := seconds((*PLAINFILM, verb), repeats=options.repeats)),
            peer=bare,
            peer_name="bare interpreter",
            ratio=ours / bare,
            of="ours / peer",
            target=target,
            more_is_better=False,
        )
        for verb, target in LIGHT.items()
    ]
    figures += predictions(options.repeats)
    measuring.report(figures, options.json)


def seconds(command: tuple[str, ...], *, repeats: int) -> float:
    """Median seconds of a command, from the start of its process to its end."""

    def run() -> None:
        subprocess.run(command, check=True, capture_output=True)

    return measuring.median_seconds(run, repeats=repeats)


def predictions(repeats: int) -> list[measuring.Figure]:
    """Measure `predict` of one film against the import of MONAI alone."""
    with tempfile.TemporaryDirectory() as temporary:
        film = Path(temporary) / "film.dcm"
        write_film(film)
        runs = [predict(film, Path(temporary) / f"run {number}") for number in range(repeats + 1)]
    imported = seconds(MONAI, repeats=repeats)
    taken = np.median(np.asarray(runs[1:]), axis=0)
    return [
        measuring.Figure(
            name=f"`plainfilm predict` of one film, command to {until}",
            unit="s",
            ours=float(ours),
            peer=imported,
            peer_name="import monai",
            ratio=float(ours) / imported,
            of="ours / peer",
            target=target,
            more_is_better=False,
            peak_megabytes=float(taken[2]),
        )
        for (until, target), ours in zip(PREDICT.items(), taken[:2], strict=True)
    ]


def predict(film: Path, output: Path) -> tuple[float, float, float]:
    """Predict one film; return the seconds until it stands in the journal and until the end.

    Returns:
        Both, and the largest resident memory in megabytes.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PLAINFILM, "predict", BUNDLE, str(film), str(output)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = output / JOURNAL
    first = None
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        # The first line says what predicts; the second is the film.
        if first is None and journal.is_file() and journal.read_bytes().count(b"\n") > 1:
            first = time.perf_counter() - began
        time.sleep(0.005)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise RuntimeError(f"predict ended with exit status {process.returncode}")
    return first or taken, taken, ended[2].ru_maxrss / 1024


def write_film(path: Path) -> None:
    """Write a film with the noise and the gradient of a real one."""
    from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx

    generator = np.random.default_rng(0)
    ramp = np.linspace(0.1, 0.8, 2048, dtype=np.float32)[:, None] * np.ones(1792, np.float32)
    film = ramp + generator.normal(0, 0.05, ramp.shape).astype(np.float32)
    header = FilmHeader("film", "GENERATED", 1, inverted=False, sex="F", age_years=40)
    write_dx(path, np.clip(film, 0, 1), header=header)


if __name__ == "__main__":
    main()
