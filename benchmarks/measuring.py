"""What the benchmarks share: figures against a peer or a limit, and how time and memory are taken.

A script of this folder measures its own side and the peer's in the same run, makes `Figure`s of
them and hands those to `report`, which prints a table and, with `--json FILE`, keeps them for the
table of all (`make benchmark`).
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

REPEATS = 3
LIBRARIES = ("torch", "monai", "numpy", "opencv-python-headless", "onnxruntime", "openvino")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured, in words.
        unit: Of `ours`, `peer` and `limit`, such as `films/s`.
        ours: What plainfilm takes or reaches.
        ratio: The number that the target is about, as its words in `of` say.
        of: What the ratio is, such as `ours / peer`.
        target: What the ratio should reach.
        more_is_better: Whether the ratio should be at least the target, or at most.
        peer: The same of the peer, measured in the same run; None where there is none.
        peer_name: Who the peer is.
        limit: What the machine could reach at best, measured in the same run; None where unknown.
        peak_megabytes: Largest resident memory of the process that measured ours.
    """

    name: str
    unit: str
    ours: float
    ratio: float
    of: str
    target: float
    more_is_better: bool = True
    peer: float | None = None
    peer_name: str = ""
    limit: float | None = None
    peak_megabytes: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the target was reached."""
        if self.more_is_better:
            return self.ratio >= self.target
        return self.ratio <= self.target


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes: how often, and where figures are kept."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=REPEATS, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there too")
    return parser


def report(figures: Sequence[Figure], kept: Path | None = None) -> None:
    """Print the figures as a table, and keep them with what is known of the machine."""
    print(table(figures))
    if kept is not None:
        content = {"machine": machine(), "figures": [asdict(each) for each in figures]}
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read(kept: Path) -> list[Figure]:
    """Read figures that `report` has kept."""
    content = json.loads(kept.read_text(encoding="utf-8"))
    return [Figure(**each) for each in content["figures"]]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table in Markdown."""
    head = ("figure", "unit", "ours", "peer", "limit", "ratio", "target", "reached", "peak MB")
    lines = [_line(head), _line(["---", "---", *["--:"] * 5, "---", "--:"])]
    for each in figures:
        sign = "≥" if each.more_is_better else "≤"
        peer = "" if each.peer is None else f"{_number(each.peer)} ({each.peer_name})"
        cells = (each.name, each.unit, _number(each.ours), peer, _number(each.limit))
        ratio = f"{_number(each.ratio)} ({each.of})"
        reached = "yes" if each.reached else "no"
        goal = f"{sign} {_number(each.target)}"
        lines.append(_line([*cells, ratio, goal, reached, _number(each.peak_megabytes)]))
    return "\n".join(lines)


def median_seconds(run: Callable[[], object], *, repeats: int = REPEATS, warm_up: int = 1) -> float:
    """Run once or more to warm up, then `repeats` times; return the median in seconds."""
    for _ in range(warm_up):
        run()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def core_seconds() -> float:
    """Seconds of cores that this process and its ended children have used so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_megabytes() -> float:
    """Largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(script: str, *options: str) -> dict[str, float]:
    """Run a script with options where nothing else is in memory; read the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, script, *options], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def machine() -> dict[str, object]:
    """Name the processor, its cores, the accelerator and the versions that were measured."""
    import torch

    from pipelines.networks.device import processor_name, usable_cores

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    found = {name: _version(name) for name in LIBRARIES}
    return {
        "processor": processor_name(),
        "cores": usable_cores(),
        "accelerator": gpu,
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: each for name, each in found.items() if each},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return ""


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
