"""The faults: what each does to a run, and how a run may end under it."""

import contextlib
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from fault_changes import clock_set_back, no_memory_for_a_film
from fault_downloads import Hub, with_weights_of
from fault_stages import Trial, with_loaders
from processes import Ended

if TYPE_CHECKING:
    from faults import Disturbed

Fault: TypeAlias = Callable[["Disturbed"], None]

KILLS_IN_A_CHAIN = 5
MOST_TRIES = 5  # of what is not a kill
SHARES = (0.02, 0.2, 0.4, 0.6, 0.8, 0.95)  # of what an undisturbed run writes
LATEST_SECONDS = 60.0
# Which reading of a film has no memory: a training looks at all of them first.
_READS = {"train": (25, 40), "predict": (1, 5), "film cache": (1, 24)}


def killed(made: "Disturbed") -> None:
    """Kill at random moments: each fifth of the kills alone, the others five to a folder."""
    alone = max(1, made.kills // KILLS_IN_A_CHAIN)
    left = made.kills
    while left:
        in_a_row = 1 if alone else min(left, KILLS_IN_A_CHAIN)
        alone -= alone > 0
        left -= in_a_row
        trial = made.trial()
        for _ in range(in_a_row):
            made.disturbed(trial, _killed_once(made, trial), expected=["killed"])
        made.finish(trial)


def _killed_once(made: "Disturbed", trial: Trial, *, within: float = 1.0) -> Ended:
    """Kill a run in the first part of its time, all of it by default."""
    with trial.started() as process:
        process.rest(within * made.moment())
        process.kill()
        return process.wait()


def terminated(made: "Disturbed") -> None:
    """Send SIGTERM at random moments."""
    for _ in _tries(made):
        trial = made.trial()
        with trial.started() as process:
            process.rest(made.moment())
            process.terminate()
            made.disturbed(trial, process.wait(), expected=["143"])
        made.finish(trial)


def full_disk(made: "Disturbed", *, place: str = "output") -> None:
    """Run where there is room for a part of what an undisturbed run writes, then make room."""
    whole = _size(made.undisturbed.folder / place)
    for share in SHARES[: made.kills]:
        trial = made.trial()
        with _disk(trial.folder / place, bytes_=int(whole * share) + 8192) as disk:
            made.disturbed(trial, trial.run(), expected=["output_unwritable"])
            disk.change("size=1g")
            made.finish(trial)


def read_only(made: "Disturbed", *, place: str = "output") -> None:
    """Kill a run, let it go on where nothing can be written, then where it can.

    It is killed early, so that there is something left to write.
    """
    for _ in range(min(3, made.kills)):
        trial = made.trial()
        with _disk(trial.folder / place, bytes_=1 << 30) as disk:
            _killed_once(made, trial, within=0.2)
            disk.change("ro")
            made.disturbed(trial, trial.run(), expected=["output_unwritable"])
            disk.change("rw")
            made.finish(trial)


def without_input(made: "Disturbed") -> None:
    """Take the input away at a random moment, and bring it back."""
    refusals = ["dataset_layout", "missing", "file_unreadable", "configuration"]
    for _ in _tries(made):
        trial = made.trial()
        place, away = trial.folder / "input", trial.folder / "away"
        with trial.started() as process:
            process.rest(made.moment())
            place.rename(away)
            ended = process.wait()
        away.rename(place)
        made.disturbed(trial, ended, expected=refusals)
        made.finish(trial)


def damaged_checkpoint(made: "Disturbed") -> None:
    """Kill a training after an epoch, and damage its last checkpoint, its best weights, or all."""
    whole = made.undisturbed.folder / "output/checkpoints"
    targets = (["last.pt"], ["best.pt"], ["last.pt", "before.pt"])
    for number, damage in zip(_tries(made), _in_turn(made, DAMAGES), strict=False):
        trial = made.trial()
        folder = trial.output / "checkpoints"
        with trial.started() as process:
            process.until(lambda at=folder: all((at / p.name).is_file() for p in whole.iterdir()))
            process.kill()
            ended = process.wait()
        found = [folder / name for name in targets[number % len(targets)]]
        for path in filter(Path.is_file, found):
            damage(path, made.random)
        made.disturbed(trial, ended, expected=["killed"], whole=False)
        said = {"last.pt": "last.pt is damaged", "best.pt": "Going on after"}[found[0].name]
        made.finish(trial, says=said if ended.status else "")


def damaged_cache(made: "Disturbed", *, pattern: str) -> None:
    """Let a run end, and damage what it keeps for the next one."""
    for _, damage in zip(_tries(made), _in_turn(made, DAMAGES), strict=False):
        trial = made.trial()
        ended = trial.run()
        kept = sorted(path for path in trial.folder.rglob(pattern) if path.is_file())
        damage(made.random.choice(kept), made.random)
        made.disturbed(trial, ended, expected=[], whole=False)
        made.finish(trial)


def set_back(made: "Disturbed") -> None:
    """Kill a run, and let it go on, to the end, by a clock that stands a year back."""
    for _ in _tries(made):
        trial = made.trial()
        _killed_once(made, trial)
        made.disturbed(trial, trial.run(clock_set_back()), expected=[])
        made.finish(trial)


def no_memory(made: "Disturbed") -> None:
    """Let there be no memory for one film."""
    reads = _READS[made.stage.name]
    for _ in _tries(made):
        trial = made.trial()
        ended = trial.run(no_memory_for_a_film(made.random.randint(*reads)))
        made.disturbed(trial, ended, expected=["out_of_memory"])
        made.finish(trial)


def loader_killed(made: "Disturbed") -> None:
    """Kill a process that prepares films, as the system does when memory runs out."""
    stage = with_loaders(made.stage)
    for _ in _tries(made):
        trial = made.trial(stage)
        with trial.started() as process:
            process.until(process.children)
            process.rest(process.seconds + made.random.uniform(0, made.seconds / 2))
            process.kill_a_child()
            made.disturbed(trial, process.wait(), expected=["out_of_memory"])
        trial.stage = stage
        made.finish(trial)


def two_at_once(made: "Disturbed", *, refused: bool = True) -> None:
    """Start a second run on the folder of the first."""
    for _ in range(min(5, made.kills)):
        trial = made.trial()
        locks = [trial.output / name for name in (".lock", ".lock.json")]
        with trial.started() as first:
            if refused:
                first.until(lambda at=locks: any(path.is_file() for path in at))
            with trial.started() as second:
                ended = second.wait()
            running = first.runs
            made.disturbed(trial, ended, expected=["output_in_use"])
            made.disturbed(trial, first.wait(), expected=[])
        if refused and running and ended.said != "output_in_use":
            made.row.problems.append(f"the second run ended with {ended.said}")
        made.finish(trial)


def broken_download(made: "Disturbed") -> None:
    """Begin with weights of a hub whose connection breaks half-way, then with one that holds."""
    weights = made.undisturbed.output / "model.pt"
    for _ in range(min(5, made.kills)):
        with Hub(weights) as hub:
            stage = with_weights_of(made.stage, hub.address)
            whole = Trial.of(stage, made.folder / "with weights")
            whole.run()
            trial = made.trial(stage)
            hub.breaks_at = made.random.uniform(0.05, 0.95)
            made.disturbed(trial, trial.run(), expected=["weights_missing"])
            hub.breaks_at = None
            made.finish(trial, like=whole)


def _tries(made: "Disturbed") -> range:
    return range(min(MOST_TRIES, made.kills))


def _in_turn(made: "Disturbed", damages: tuple[Callable[..., None], ...]) -> Iterator:
    while True:
        yield from made.random.sample(damages, len(damages))


def flip_bits(path: Path, generator: random.Random) -> None:
    """Change a bit in each of sixteen places, as a worn disk does."""
    content = bytearray(path.read_bytes())
    for _ in range(16):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def cut(path: Path, generator: random.Random) -> None:
    """Leave the first part."""
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content))])


def zero(path: Path, _generator: random.Random) -> None:
    """Leave as many zeros, as some file systems do after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path, _generator: random.Random) -> None:
    """Leave nothing in it."""
    path.write_bytes(b"")


DAMAGES = (flip_bits, cut, zero, empty)


def _size(folder: Path) -> int:
    """What files take in a file system of pages of 4096 bytes."""
    return sum(-(-p.stat().st_size // 4096) * 4096 + 4096 for p in folder.rglob("*"))


class _Disk:
    """A file system of its own in memory, whose size and rights can be changed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def change(self, options: str) -> None:
        """Mount it anew with other options; who still has a file open is waited for."""
        end = time.monotonic() + LATEST_SECONDS
        command = ["mount", "-o", f"remount,{options}", str(self.place)]
        while subprocess.run(command, capture_output=True, check=False).returncode:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.place} cannot be mounted anew with {options}")
            time.sleep(0.05)


@contextlib.contextmanager
def _disk(place: Path, *, bytes_: int) -> Iterator[_Disk]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={bytes_}", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    try:
        yield _Disk(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount, which a full and a read-only disk need."""
    try:
        with _disk(folder, bytes_=4096):
            return True
    except (OSError, subprocess.SubprocessError):
        return False


_EVERYWHERE = ("train", "predict", "datalist", "film cache", "engine cache")
_INTO_FOLDERS = ("train", "predict", "datalist", "film cache")
FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "kill -9": dict.fromkeys(_EVERYWHERE, killed),
    "SIGTERM": dict.fromkeys(_EVERYWHERE, terminated),
    "full disk": {
        **dict.fromkeys(_INTO_FOLDERS, full_disk),
        "engine cache": partial(full_disk, place="cache"),
    },
    "read-only output": {
        **dict.fromkeys(_INTO_FOLDERS, read_only),
        "engine cache": partial(read_only, place="cache"),
    },
    "input removed": dict.fromkeys(_INTO_FOLDERS, without_input),
    "damaged checkpoint": {"train": damaged_checkpoint},
    "damaged cache": {
        "film cache": partial(damaged_cache, pattern="output/*/*"),
        "engine cache": partial(damaged_cache, pattern="cache/plainfilm/*"),
    },
    "clock set back": dict.fromkeys(_EVERYWHERE, set_back),
    "no memory for a film": dict.fromkeys(("train", "predict", "film cache"), no_memory),
    "loader killed": {"train": loader_killed},
    "two runs at once": {
        **dict.fromkeys(("train", "predict"), two_at_once),
        **dict.fromkeys(("datalist", "film cache"), partial(two_at_once, refused=False)),
    },
    "interrupted download": {"train": broken_download},
}
"""What is done, by the name of the fault and of the stage."""
