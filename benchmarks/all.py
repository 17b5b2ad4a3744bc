"""Runs every benchmark that makes figures and prints them as one table.

Each script has a process of its own. One that fails is named and the others go on; the exit status
is 1 then. The table is kept as Markdown and JSON in `benchmarks/results/`, by processor and cores.
Run it from the repository root on a machine that does nothing else:

    python benchmarks/all.py [--only start latency] [--output benchmarks/results]
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import measuring

HERE = Path(__file__).resolve().parent
# Every script that makes figures, with the options that keep all of them below half an hour.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "start": (),
    "latency": (),
    "reduced_reading": (),
    "predict_throughput": ("--repeats", "1"),
    "growth": ("--picture", str(HERE / "results" / "growth.png")),
    "engines": (),
    "one_image": (),
    "training_throughput": (),
    "training_parts": (),
    "multi_process": ("--steps", "4", "--repeats", "5"),
    "sliding_window": ("--repeats", "2"),
    "hand_postprocessing": (),
}
LONGEST_SECONDS = 600


def main() -> int:
    """Run the scripts one after the other, print and keep the table; 1 where one has failed."""
    options = _options()
    began = time.monotonic()
    figures: list[measuring.Figure] = []
    failed: list[str] = []
    for name in options.only or SCRIPTS:
        say(f"{elapsed(began)}  {name} …")
        made = run(name)
        if made is None:
            failed.append(name)
        figures += made or []
        # At once, so that a run that is stopped leaves what it has measured.
        text = report(figures, failed, seconds=time.monotonic() - began)
        keep(options.output, text, figures, failed)
    print(text)
    say(f"kept in {options.output}")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=SCRIPTS, metavar="NAME", help=", ".join(SCRIPTS)
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "results", help="folder; default: %(default)s"
    )
    return parser.parse_args()


def run(name: str) -> list[measuring.Figure] | None:
    """Run one script where nothing else is in memory; None where it fails."""
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(temporary) / "figures.json"
        command = [sys.executable, str(HERE / f"{name}.py"), *SCRIPTS[name], "--json", str(kept)]
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            say(f"       {name} failed: it took longer than {LONGEST_SECONDS} s")
            return None
        if done.returncode or not kept.is_file():
            last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
            say(f"       {name} failed, exit status {done.returncode}: {last}")
            return None
        return measuring.read(kept)


def report(figures: Sequence[measuring.Figure], failed: Sequence[str], *, seconds: float) -> str:
    """Say what was measured, on what, and how long it took."""
    machine = measuring.machine()
    about = ", ".join(f"{name} {value}" for name, value in machine.items() if value)
    reached = sum(each.reached for each in figures)
    lines = [
        measuring.table(figures),
        "",
        f"{reached} of {len(figures)} targets reached in {seconds / 60:.1f} min. Machine: {about}.",
    ]
    lines += [f"Failed: {name}." for name in failed]
    return "\n".join(lines)


def keep(
    folder: Path, text: str, figures: Sequence[measuring.Figure], failed: Sequence[str]
) -> None:
    """Write table and figures to files named by processor and cores."""
    machine = measuring.machine()
    named = f"{machine['accelerator'] or machine['processor']}-{machine['cores']}"
    stem = re.sub(r"[^a-z0-9]+", "-", named.lower()).strip("-")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.md").write_text(f"{text}\n", encoding="utf-8")
    content = {
        "machine": machine,
        "failed": list(failed),
        "figures": [asdict(each) for each in figures],
    }
    (folder / f"{stem}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def elapsed(began: float) -> str:
    """Minutes and seconds since then."""
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    return f"{minutes:2d}:{seconds:02d}"


def say(text: str) -> None:
    """Print a line of progress, which is no part of the table."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
