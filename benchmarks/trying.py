"""Tries that may take the process with them: each is made in a worker that is watched from outside.

A worker notes in shared memory which try it is at and since when, and what came of each. When it
dies the try is a crash, when a try takes too long the worker is killed and the try is a hang, and
another worker goes on behind it. Time is that of the worker's core, so that what else the machine
does is no hang; a try that waits for something is one after ten times as long. Memory is the peak
of the worker's resident memory, which is set back after a try that needed much, so that it is known
which one did.
"""

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

HANG_SECONDS = 20.0
MOST_MEGABYTES = 1000.0
ADDRESS_BYTES = 12 * 10**9
"""A try that asks for more gets a MemoryError, lest it takes the machine down."""
TRIES_A_WORKER = 5000
CRASH, HANG, NO_REASON, WRONG, MEMORY = "crash", "hang", "no reason", "wrong", "memory"
BAD = (CRASH, HANG, NO_REASON, WRONG, MEMORY)
"""Outcomes that no try may have."""

Try = Callable[[int], str]
"""Makes a try of a number and says what came of it: a word of its own, or one of `BAD`, behind
which a colon and more may stand."""

_RECORD = np.dtype([("outcome", "S48"), ("seconds", "f4"), ("megabytes", "f4")])
_LOOK_SECONDS = 0.1
_PATIENCE = 10
_NOTABLE_MEGABYTES = 50.0


@dataclass(slots=True)
class Tally:
    """What came of the tries of a kind.

    Attributes:
        kind: Its name.
        outcomes: How many there were of each outcome.
        bad: Outcome of each try that may not be, by number.
        megabytes: The largest peak of memory, and of which try.
        seconds: The longest try, and which one it was.
    """

    kind: str
    outcomes: dict[str, int] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    megabytes: tuple[float, int] = (0.0, -1)
    seconds: tuple[float, int] = (0.0, -1)


def tally(kind: str, records: npt.NDArray[np.void]) -> Tally:
    """Count the outcomes of all tries of a kind."""
    outcomes = [outcome.decode() for outcome in records["outcome"].tolist()]
    for number in np.flatnonzero(records["megabytes"] > MOST_MEGABYTES):
        outcomes[number] = MEMORY
    kinds = [outcome.partition(":")[0] for outcome in outcomes]
    counted = {each: kinds.count(each) for each in sorted(set(kinds))}
    largest, longest = (int(records[name].argmax()) for name in ("megabytes", "seconds"))
    return Tally(
        kind,
        counted,
        {n: outcomes[n] for n, kind in enumerate(kinds) if kind in BAD},
        (float(records["megabytes"][largest]), largest),
        (float(records["seconds"][longest]), longest),
    )


class Records:
    """What came of each try, in a file that all processes map.

    Args:
        folder: For the file.
        count: How many tries there are.
        workers: How many processes there are at a time.
        anew: Whether the file is made.
    """

    def __init__(self, folder: Path, count: int, workers: int, *, anew: bool = False) -> None:
        mode = "w+" if anew else "r+"
        self.all = np.memmap(folder / "records", _RECORD, mode, shape=(count,))
        self.at = np.memmap(folder / "at", np.int64, mode, shape=(workers, 3))
        """Of each worker the number of its try, since when in ns, and its core's time then."""


@dataclass(slots=True)
class _Worker:
    process: multiprocessing.process.BaseProcess
    numbers: range


def run(
    make: Callable[[Path], Try], count: int, *, workers: int = 1, hang_seconds: float = HANG_SECONDS
) -> npt.NDArray[np.void]:
    """Make all tries and return their records.

    Args:
        make: Makes in a worker, of a folder for its files, the function that makes tries; it must
            be importable.
        count: How many tries there are.
        workers: Processes at a time.
        hang_seconds: How long a try may take.
    """
    context = multiprocessing.get_context("spawn")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        folder = Path(temporary)
        records = Records(folder, count, workers, anew=True)
        todo = [range(n, min(n + TRIES_A_WORKER, count)) for n in range(0, count, TRIES_A_WORKER)]
        places: list[_Worker | None] = [None] * workers

        def start(place: int, numbers: range) -> None:
            records.at[place] = numbers.start, time.monotonic_ns(), 0  # the start counts as well
            arguments = (make, (folder, count, workers), place, numbers)
            process = context.Process(target=_work, args=arguments)
            process.start()
            places[place] = _Worker(process, numbers)

        try:
            while todo or any(places):
                for place, worker in enumerate(places):
                    rest = _rest(worker, records, place, hang_seconds) if worker else range(0)
                    if rest is None:
                        continue
                    places[place] = None
                    if rest:
                        start(place, rest)
                    elif todo:
                        start(place, todo.pop(0))
                time.sleep(_LOOK_SECONDS)
        finally:
            for worker in filter(None, places):
                worker.process.kill()
                worker.process.join()
        return np.array(records.all)


def _rest(worker: _Worker, records: Records, place: int, hang_seconds: float) -> range | None:
    """What another worker has to do in the place of this one; None while it works."""
    number, since, core = (int(each) for each in records.at[place])
    waited = (time.monotonic_ns() - since) / 1e9
    took = max(_core_seconds(worker.process.pid) - core / 1e9, waited / _PATIENCE)
    if worker.process.is_alive():
        # Importing everything takes some seconds, which no try is to be blamed for.
        begun = number > worker.numbers.start or records.all["outcome"][number]
        if took < hang_seconds + (0 if begun else 60):
            return None
        worker.process.kill()
    worker.process.join()
    status = worker.process.exitcode
    if status == 0:
        return range(0)
    hung = took >= hang_seconds
    records.all[number] = (HANG if hung else CRASH), took, 0.0
    how = "took too long" if hung else f"ended the process ({_ended(status)})"
    print(f"try {number} {how}", file=sys.stderr, flush=True)
    return range(number + 1, worker.numbers.stop)


def _core_seconds(pid: int | None) -> float:
    """Seconds of cores that a process has used; 0 for one that has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ended(status: int | None) -> str:
    with suppress(ValueError):
        return signal.Signals(-(status or 0)).name
    return f"exit status {status}"


def _work(
    make: Callable[[Path], Try], shape: tuple[Path, int, int], place: int, numbers: range
) -> None:
    """Make tries, in a process of its own."""
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries say of damaged files
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    records = Records(*shape)
    own = shape[0] / f"worker_{place}"
    own.mkdir(exist_ok=True)
    attempt, parent = make(own), os.getppid()
    for number in numbers:
        if os.getppid() != parent:
            return  # whoever watches has been killed
        began = time.process_time_ns()
        records.at[place] = number, time.monotonic_ns(), began
        outcome = attempt(number)
        seconds = (time.process_time_ns() - began) / 1e9
        records.all[number] = outcome, seconds, _peak_megabytes()


def _peak_megabytes(status: Path = Path("/proc/self/status")) -> float:
    """Peak since this was last asked, or since the start; asking sets it back if it was high."""
    told = dict(
        line.split(":")
        for line in status.read_text().splitlines()
        if "VmHWM" in line or "VmRSS" in line
    )
    peak, now = (int(told[name].split()[0]) / 1024 for name in ("VmHWM", "VmRSS"))
    if peak > now + _NOTABLE_MEGABYTES:
        status.with_name("clear_refs").write_text("5")
    return peak
