"""One hour of `predict` in one process, over a looped folder: do memory and descriptors stay flat?

The folder holds films of every kind and form (see `mixed_films`), broken ones among them. One
process goes through it again and again, each time in two ways: the whole of `predict` into a fresh
output, as a job that is called from Python does it, and film by film with a predictor that lives
all the time, as a service does it. What a run or a film leaves behind adds up and shows; each round
must predict and refuse what the first one did, in the same words. (What a single run keeps of each
input is another question: `growth.py` measures it.) Memory, descriptors and threads are noted every
ten seconds, and at the end of each round, where the process is at the same point each time: growth
is a line through these after a warm-up, with an interval from a bootstrap of whole blocks, since
neighbours are alike. What the C library counts as in use tells a leak from memory that is freed and
kept. Run it from the repository root; it is no part of `make benchmark`, since it takes an hour:

    python benchmarks/soak.py [--minutes 60] [--output benchmarks/results]
"""

import ctypes
import gc
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import measuring
import numpy as np
from mixed_films import copy_real, write_corpus, write_films

BUNDLE = "pneumonia_efficientnet_b0"
SETTINGS = {"reader::threads": 2, "engine::at_once": 2, "reduced_reading": True}
"""Two readers and two batches at a time, whatever cores there are: each thread has its memory."""
EVERY_SECONDS = 10.0
WARM_UP = 1 / 6
"""Share of the time in which memory may still grow: pools, caches, the first of each kind."""
MOST_MEGABYTES_AN_HOUR = 20.0
"""What the upper end of the interval may be: 0.5 GB a day."""
BLOCK_SECONDS = 300.0
BOOTSTRAPS = 2000
PAGE = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """How the process was at one moment.

    Attributes:
        seconds: Since the start.
        megabytes: Resident memory of the process and its children.
        descriptors: Open files, sockets and pipes.
        threads: Of the process, the one that takes samples left out.
        children: Processes that it has started and that live.
        films: Inputs handled so far.
        in_use: Megabytes that the C library has given out and not got back; 0 where it is not
            glibc.
    """

    seconds: float
    megabytes: float
    descriptors: int
    threads: int
    children: int
    films: int
    in_use: float = 0.0


@dataclass(slots=True)
class Soak:
    """What a soak has seen.

    Attributes:
        samples: In the order of time.
        ends: At the end of each round.
        films: Inputs handled.
        rounds: Times through the folder.
        different: Rounds whose tables differ from those of the first.
    """

    samples: list[Sample] = field(default_factory=list)
    ends: list[Sample] = field(default_factory=list)
    films: int = 0
    rounds: int = 0
    different: int = 0


@dataclass(frozen=True, slots=True)
class Growth:
    """How memory changed after the warm-up.

    Attributes:
        slope: Megabytes an hour.
        low: Lower end of its 95 % interval.
        high: Upper end.
        first: Mean megabytes in the first quarter.
        last: Mean megabytes in the last quarter.
    """

    slope: float
    low: float
    high: float
    first: float
    last: float


def main() -> int:
    """Soak, write table, samples and curve; return 1 if memory is not flat."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--bundle", default=BUNDLE)
    parser.add_argument("--films", type=int, default=6, help="generated films, each in nine forms")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(dir=_memory()) as temporary:
        films = Path(temporary, "films")
        films.mkdir()
        write_corpus(films, ("dicom", "raster"))
        write_films(films, options.films)
        copy_real(films)
        seen = soak(films, options.bundle, seconds=60 * options.minutes, every=EVERY_SECONDS)
    found = growth(seen.ends)
    figures = figures_of(seen, found)
    keep(options.output, seen, found, figures)
    return 0 if all(each.reached for each in figures) else 1


def soak(films: Path, bundle_name: str, *, seconds: float, every: float, rounds: int = 1) -> Soak:
    """Predict a folder again and again in this process.

    Args:
        films: The folder.
        bundle_name: What predicts, by name or path.
        seconds: For how long; the last round is finished.
        every: Seconds between two samples; another one is taken at the end.
        rounds: How many there are at least.
    """
    from pipelines.inference.batch import predict_folder
    from pipelines.inference.predictor import Predictor
    from pipelines.workflows.bundle import find_bundle

    bundle = find_bundle(bundle_name)
    predictor = Predictor.from_bundle(bundle)
    seen, began = Soak(), time.monotonic()
    first: Mapping[str, bytes] = {}
    with _sampled(seen, every), tempfile.TemporaryDirectory(dir=_memory()) as temporary:
        end = time.monotonic() + seconds
        while time.monotonic() < end or seen.rounds < rounds:
            output = Path(temporary, f"round_{seen.rounds}")
            summary = predict_folder(bundle, films, output, overrides=SETTINGS)
            seen.films += summary["inputs"]
            tables = {
                name: (output / name).read_bytes() for name in ("predictions.csv", "failures.csv")
            }
            first = first or tables
            seen.different += tables != first
            shutil.rmtree(output)
            for path in sorted(films.iterdir()):
                _serve(predictor, path)
                seen.films += 1
            seen.rounds += 1
            gc.collect()
            now = sample(time.monotonic() - began, seen.films, own_threads=1)
            seen.ends.append(now)
    return seen


def _serve(predictor, path: Path) -> None:  # noqa: ANN001 - its class is imported late
    """Answer one film as a service does; a refusal is an answer too."""
    from pipelines.errors import PlainfilmError
    from pipelines.ingest.read import read_radiograph

    def load(path: Path):  # noqa: ANN202
        return predictor.prepare(read_radiograph(path), filename=path.name)

    for _, outcome in predictor.reader.read(load, [path]):
        if not isinstance(outcome, PlainfilmError):
            predictor.answer(outcome)


@contextmanager
def _sampled(seen: Soak, every: float) -> Iterator[None]:
    """Take samples in a thread of its own while the block runs, and one at its end."""
    began, stop = time.monotonic(), threading.Event()

    def take() -> None:
        while not stop.wait(every):
            seen.samples.append(sample(time.monotonic() - began, seen.films, own_threads=1))

    taking = threading.Thread(target=take, daemon=True)
    taking.start()
    try:
        yield
    finally:
        stop.set()
        taking.join()
        gc.collect()
        seen.samples.append(sample(time.monotonic() - began, seen.films))


def sample(seconds: float, films: int, *, own_threads: int = 0) -> Sample:
    """Look at this process and its children, now."""
    here = Path("/proc/self")
    tasks = list((here / "task").iterdir())
    children = [int(pid) for task in tasks for pid in _text(task / "children").split()]
    resident = sum(_resident(Path("/proc", str(pid))) for pid in (os.getpid(), *children))
    return Sample(
        seconds=round(seconds, 1),
        megabytes=round(resident / 1e6, 2),
        descriptors=len(os.listdir(here / "fd")) - 1,  # noqa: PTH208 - one of them is its own
        threads=len(tasks) - own_threads,
        children=len(children),
        films=films,
        in_use=_in_use(),
    )


class _Counts(ctypes.Structure):
    """What glibc's mallinfo2 tells, in its order."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks"),
            *("uordblks", "fordblks", "keepcost"),
        )
    )


def _in_use() -> float:
    try:
        count = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0.0
    count.restype = _Counts
    counts = count()
    return round((counts.uordblks + counts.hblkhd) / 1e6, 2)


def _resident(process: Path) -> int:
    fields = _text(process / "statm").split()
    return PAGE * int(fields[1]) if fields else 0


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:  # a thread or a child that has just ended
        return ""


def growth(samples: Sequence[Sample]) -> Growth:
    """Fit a line to the memory after the warm-up, and bootstrap it by blocks of what it leaves."""
    settled = [each for each in samples if each.seconds >= WARM_UP * samples[-1].seconds]
    hours = np.array([each.seconds / 3600 for each in settled])
    megabytes = np.array([each.megabytes for each in settled])
    line = np.polyfit(hours, megabytes, 1)
    left = megabytes - np.polyval(line, hours)
    step = (settled[-1].seconds - settled[0].seconds) / max(1, len(settled) - 1)
    length = int(np.clip(round(BLOCK_SECONDS / max(step, 1e-9)), 1, max(1, len(settled) // 4)))
    random = np.random.default_rng(0)
    starts = random.integers(len(left), size=(BOOTSTRAPS, -(-len(left) // length)))
    at = (starts[..., None] + np.arange(length)).reshape(BOOTSTRAPS, -1)[:, : len(left)]
    slopes = np.polyfit(hours, (np.polyval(line, hours) + left[at % len(left)]).T, 1)[0]
    low, high = np.percentile(slopes, (2.5, 97.5))
    quarter = max(1, len(settled) // 4)
    return Growth(
        slope=float(line[0]),
        low=float(low),
        high=float(high),
        first=float(megabytes[:quarter].mean()),
        last=float(megabytes[-quarter:].mean()),
    )


def figures_of(seen: Soak, found: Growth) -> list[measuring.Figure]:
    """Hold what was seen against what is expected."""
    warm = next(each for each in seen.ends if each.seconds >= WARM_UP * seen.ends[-1].seconds)
    last = seen.ends[-1]
    peak = max(each.megabytes for each in seen.samples)

    def at_most(name: str, unit: str, ours: float, most: float) -> measuring.Figure:
        return measuring.Figure(
            name=name,
            unit=unit,
            ours=ours,
            limit=most,
            ratio=ours - most,
            of="ours - limit",
            target=0.0,
            more_is_better=False,
            peak_megabytes=peak,
        )

    return [
        at_most("growth of memory, upper end", "MB/hour", found.high, MOST_MEGABYTES_AN_HOUR),
        at_most("memory of the last quarter", "MB", found.last, 1.02 * found.first),
        at_most("memory in use at the end", "MB", last.in_use, 1.02 * warm.in_use),
        at_most("descriptors at the end", "", last.descriptors, warm.descriptors),
        at_most("threads at the end", "", last.threads, warm.threads),
        at_most("rounds unlike the first", "", seen.different, 0),
    ]


def keep(folder: Path, seen: Soak, found: Growth, figures: Sequence[measuring.Figure]) -> None:
    """Print what was found, and write it: text, JSON with every sample, and a curve."""
    last = seen.samples[-1]
    text = (
        f"{measuring.table(figures)}\n\n"
        f"{seen.films} inputs in {seen.rounds} rounds and {last.seconds / 60:.1f} min, "
        f"{seen.films / last.seconds:.1f} a second. Memory grew by {found.slope:.1f} MB an hour "
        f"(95 % interval {found.low:.1f} to {found.high:.1f}); first quarter after the warm-up "
        f"{found.first:.0f} MB, last {found.last:.0f} MB. In use were {last.in_use:.1f} MB at the "
        f"end, {seen.ends[0].in_use:.1f} MB after the first round.\n"
    )
    print(text, end="")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.md").write_text(text, encoding="utf-8")
    content = {
        "machine": measuring.machine(),
        "figures": [asdict(each) for each in figures],
        "growth": asdict(found),
        "rounds": seen.rounds,
        "ends": [asdict(each) for each in seen.ends],
        "samples": [asdict(each) for each in seen.samples],
    }
    (folder / "soak.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
    draw(folder / "soak.png", seen)


def draw(path: Path, seen: Soak) -> None:
    """Draw memory, descriptors, threads and speed over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    for axis, samples, names in (
        (axes[0], seen.samples, {"megabytes": "resident, MB"}),
        (axes[0], seen.ends, {"megabytes": "at the ends of rounds", "in_use": "in use"}),
        (axes[1], seen.samples, {"descriptors": "descriptors", "threads": "threads"}),
        (axes[2], seen.samples, {"films": "inputs handled"}),
    ):
        minutes = [each.seconds / 60 for each in samples]
        for name, words in names.items():
            axis.plot(minutes, [getattr(each, name) for each in samples], label=words)
        axis.legend()
        axis.set_xlabel("minutes")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _memory() -> Path | None:
    """A folder in memory where there is one, so that the disk is left out."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
