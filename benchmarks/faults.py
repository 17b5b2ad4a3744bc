"""What faults break: runs are disturbed, given the same command again, and all is counted.

For training, prediction, datalists and both caches. Expected everywhere: the same command
completes, its result is that of a run which nothing has disturbed (tensors bit by bit, tables row
by row), no half file under a final name at any time, no doubled row, nothing left behind, and a
plain reason wherever a run says why it ended. Where one does not hold, the exit status is 1.

Run it from the repository root, as root for disks that are full or read-only; it takes long and is
no part of `make benchmark`:

    python benchmarks/faults.py [--kills 50] [--only NAME …] [--seed 0] [--output FOLDER]
"""

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import measuring
from fault_kinds import FAULTS
from fault_stages import Stage, Trial, differences, doubled_rows, half_files, leftovers, stages
from processes import Ended

HERE = Path(__file__).resolve().parent
_FEWEST_TIMED = 5  # kills for which the time of a run is taken with care


@dataclass
class Row:
    """A line of the table: a fault in a stage.

    Attributes:
        fault: Its name.
        stage: Name of the stage.
        tries: How often the fault was made.
        reruns: How often the same command was given afterwards, to the end.
        completed: Of these, how many ended as an undisturbed run does.
        equal: Of these, how many left the result of an undisturbed run.
        half: Half files under a final name, right after the fault or in the end.
        doubled: Rows that stand twice.
        left: What was begun and neither finished nor removed in the end.
        said: How disturbed runs ended, by reason code or status.
        problems: What is not as expected, in words.
    """

    fault: str
    stage: str
    tries: int = 0
    reruns: int = 0
    completed: int = 0
    equal: int = 0
    half: int = 0
    doubled: int = 0
    left: int = 0
    said: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything is as expected."""
        return not self.problems and self.reruns == self.completed == self.equal


class Bench:
    """Stages, undisturbed runs of them, and the folder in which they are disturbed.

    Args:
        folder: For everything.
        kills: How often each stage is killed.
        seed: Of the random moments.
    """

    def __init__(self, folder: Path, *, kills: int, seed: int) -> None:
        self.folder = folder
        self.kills = kills
        self.seed = seed
        self.stages, training = stages(folder / "made")
        self._undisturbed: dict[str, tuple[Trial, Ended]] = {}
        if kills < _FEWEST_TIMED:
            self._undisturbed[training[0].stage.name] = training

    def undisturbed(self, stage: Stage) -> tuple[Trial, Ended]:
        """Return a run that nothing disturbs: its folder, and how it ended."""
        if stage.name not in self._undisturbed:
            # The first one imports what no later one has to: its time is not taken.
            for name in ("first", "undisturbed")[self.kills < _FEWEST_TIMED :]:
                trial = Trial.of(stage, self.folder / f"{stage.name} {name}")
                ended = trial.run()
                if ended.status not in {0, 3}:
                    raise RuntimeError(f"{stage.name} fails undisturbed: {ended.stderr}")
                self._undisturbed[stage.name] = trial, ended
        return self._undisturbed[stage.name]

    def measure(self, fault: str, stage: str) -> Row:
        """Put a fault into a stage as often as it asks for."""
        row = Row(fault, stage)
        Disturbed(self, row).be(FAULTS[fault][stage])
        return row


class Disturbed:
    """Trials of one fault in one stage, and what is counted of them.

    Args:
        bench: What has the stages.
        row: What is counted.
    """

    def __init__(self, bench: Bench, row: Row) -> None:
        self.bench = bench
        self.row = row
        self.stage = bench.stages[row.stage]
        self.kills = bench.kills
        self.random = random.Random(f"{bench.seed} {row.fault} {row.stage}")
        self.folder = bench.folder
        self.undisturbed, ended = bench.undisturbed(self.stage)
        self.seconds, self.status = ended.seconds, ended.status

    def be(self, fault: Callable[["Disturbed"], None]) -> None:
        """Let the fault do its work."""
        fault(self)

    def trial(self, stage: Stage | None = None) -> Trial:
        """Return a new folder for the next try."""
        return Trial.of(stage or self.stage, self.bench.folder / "disturbed")

    def moment(self) -> float:
        """Return a random moment of an undisturbed run, start and end included, in seconds."""
        return self.random.uniform(0, self.seconds)

    def disturbed(
        self, trial: Trial, ended: Ended, *, expected: Sequence[str], whole: bool = True
    ) -> None:
        """Count a disturbed run, and what it left.

        Args:
            trial: Where.
            ended: How it ended.
            expected: How it may end, beside as if nothing had been.
            whole: Whether every file should be whole, which those that were damaged are not.
        """
        self.row.tries += 1
        self.row.said[ended.said] = self.row.said.get(ended.said, 0) + 1
        if ended.said not in {*expected, "done", "done, some failed"}:
            self.row.problems.append(f"ended with {ended.said}: {ended.stderr[-500:]}")
        if whole:
            self._count("half", half_files(trial.folder))

    def finish(self, trial: Trial, *, says: str = "", like: Trial | None = None) -> None:
        """Give the command again, and compare what it leaves with an undisturbed run.

        Args:
            trial: Where.
            says: What the command has to say on the way, as a regular expression.
            like: An undisturbed run, where it is not that of the stage.
        """
        ended = trial.run()
        self.row.reruns += 1
        if ended.status == self.status:
            self.row.completed += 1
        else:
            self.row.problems.append(f"again: {ended.said}: {ended.stderr[-500:]}")
        if not re.search(says, ended.stdout + ended.stderr):
            self.row.problems.append(f"did not say {says!r}")
        differing = differences((like or self.undisturbed).folder, trial.folder)
        if differing:
            self.row.problems.append(f"differs: {', '.join(differing)}")
        self.row.equal += not differing
        self._count("half", half_files(trial.folder))
        self._count("doubled", doubled_rows(trial.folder))
        self._count("left", leftovers(trial.folder))

    def _count(self, column: str, found: Sequence[str]) -> None:
        setattr(self.row, column, getattr(self.row, column) + len(found))
        if found:
            self.row.problems.append(f"{column}: {', '.join(found)}")


def main() -> int:
    """Make every fault, print and keep the table; 1 where anything is not as expected."""
    options = _options()
    began = time.monotonic()
    rows = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        bench = Bench(Path(folder), kills=options.kills, seed=options.seed)
        for fault, places in FAULTS.items():
            for stage in places:
                if options.only and not {fault, stage} & {*options.only}:
                    continue
                rows.append(bench.measure(fault, stage))
                print(_line(rows[-1]), flush=True)
                for problem in rows[-1].problems:
                    sys.stderr.write(f"  {fault}, {stage}: {problem}\n")
                keep(options.output, rows, options=options, seconds=time.monotonic() - began)
    return 0 if rows and all(row.holds for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each stage; default: %(default)s")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="faults or stages, by name")
    parser.add_argument("--seed", type=int, default=0, help="other random moments")
    parser.add_argument(
        "--output", type=Path, default=HERE / "results", help="folder; default: %(default)s"
    )
    return parser.parse_args()


HEAD = (
    *("fault", "stage", "tries", "reruns completed", "results equal"),
    *("half files", "doubled rows", "left behind", "what disturbed runs said"),
)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", f"|---|---|{'--:|' * 6}---|"]
    return "\n".join([*lines, *map(_line, rows)])


def _line(row: Row) -> str:
    said = ", ".join(f"{count} {what}" for what, count in row.said.items())
    completed = f"{row.completed} of {row.reruns}"
    counts = (row.tries, completed, f"{row.equal} of {row.reruns}", row.half, row.doubled, row.left)
    return f"| {row.fault} | {row.stage} | {' | '.join(map(str, counts))} | {said} |"


def keep(folder: Path, rows: Sequence[Row], *, options: argparse.Namespace, seconds: float) -> None:
    """Keep the table as Markdown and JSON, by processor and cores."""
    machine = measuring.machine()
    named = f"{machine['processor']}-{machine['cores']}"
    stem = f"faults-{re.sub(r'[^a-z0-9]+', '-', named.lower()).strip('-')}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = _with_kept(folder / f"{stem}.json", rows)
    content = {
        "machine": machine,
        "kills": options.kills,
        "seed": options.seed,
        "seconds": round(seconds),
        "rows": [asdict(row) for row in rows],
    }
    (folder / f"{stem}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    command = f"python benchmarks/faults.py --kills {options.kills} --seed {options.seed}"
    said = f"`{command}` on {machine['processor']}, {machine['cores']} cores."
    (folder / f"{stem}.md").write_text(f"{table(rows)}\n\n{said}\n", "utf-8")


def _with_kept(path: Path, rows: Sequence[Row]) -> list[Row]:
    """Put what was measured before, and not again now, beside the rows, in the order of faults."""
    kept = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []
    places = {(fault, stage): None for fault, stages_ in FAULTS.items() for stage in stages_}
    places.update({(each["fault"], each["stage"]): Row(**each) for each in kept})
    places.update({(row.fault, row.stage): row for row in rows})
    return [row for row in places.values() if row is not None]


if __name__ == "__main__":
    sys.exit(main())
