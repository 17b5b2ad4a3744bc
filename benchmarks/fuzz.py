"""Mutated films through the reader, and mutated bundle configs through `check`: nothing may crash.

100,000 damaged DICOM, PNG and JPEG files, and a tenth as many of the other formats, are read as
`predict` reads them: looked into, then read whole and at a lower resolution. 10,000 damaged bundles
are checked. Each try is made from its number and the seed, so that one that fails can be made
again. Expected of every one: the process lives, an answer within 20 s of a core, less than 1 GB of
memory, and either a film whose pixels are what the reader promises, or a reason code that is not
`internal`. The exit status is 1 where one try broke that. Run it from the repository root; it is no
part of `make benchmark`, since it takes the better part of an hour:

    python benchmarks/fuzz.py [--files 100000] [--configs 10000] [--seed 0] [--keep FOLDER]
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random

import measuring
from mutations.configs import CONFIG, MutatedBundle
from mutations.films import KINDS, begin, mutate
from trying import BAD, HANG_SECONDS, NO_REASON, WRONG, Tally, Try, run, tally

SHARES = {"dicom": 0.5, "png": 0.25, "jpeg": 0.25, "other": 0.1}
"""Of the number of files that is asked for; `other` comes on top."""
MOST_FRAMES = 2
REASONS_SHOWN = 6


def main() -> int:
    """Make all tries, print and keep the table; return 1 where one broke what is expected."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--configs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=(*KINDS, CONFIG), help="in this order")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write what broke it there")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    began = time.monotonic()
    tallies: list[Tally] = []
    for kind in options.only or (*KINDS, CONFIG):
        count = options.configs if kind == CONFIG else round(SHARES[kind] * options.files)
        if not count:
            continue
        make = partial(make_try, kind, options.seed)
        tallies.append(tally(kind, run(make, count, workers=options.workers)))
        if options.keep:
            keep(options.keep, tallies[-1], options.seed)
        # At once, so that a run that is stopped leaves what it has found.
        told = report(tallies, options, seconds=time.monotonic() - began)
        print(told, flush=True)
    return 1 if any(each.bad for each in tallies) else 0


def make_try(kind: str, seed: int, folder: Path) -> Try:
    """Return what makes a try of a kind from its number, with files in a folder."""
    if kind == CONFIG:
        bundle = MutatedBundle(folder)
        return lambda number: check_bundle(bundle, _random(kind, seed, number))
    files = begin(kind)
    path = folder / "film"
    from pipelines.ingest import collect, read  # noqa: F401 - before the first try is timed

    def attempt(number: int) -> str:
        path.write_bytes(mutate(kind, files, _random(kind, seed, number)))
        return read_file(path)

    return attempt


def _random(kind: str, seed: int, number: int) -> Random:
    return Random(f"{seed} {kind} {number}")


def read_file(path: Path) -> str:
    """Read a file as `predict` does; say what came of it."""
    from pipelines.errors import PlainfilmError
    from pipelines.ingest.collect import collect
    from pipelines.ingest.read import read_radiograph

    try:
        found = collect(path)
        for refusal in found.refusals:
            return told(refusal.reason, refusal.message)
        for item in found.items[:MOST_FRAMES]:
            for least_size in (None, _small):
                film = read_radiograph(item.path, frame=item.frame, least_size=least_size)
                if not is_sound(film):
                    return WRONG
    except PlainfilmError as error:
        return told(error.reason, str(error))
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{NO_REASON}: {type(error).__name__}"
    return "read"


def _small(height: int, width: int) -> tuple[int, int]:
    return max(1, height // 5), max(1, width // 5)


def told(reason: str, message: str) -> str:
    """Return a refusal's reason code, unless it says nothing or too much."""
    from corpus.dicom_films import PATIENT_ID, PATIENT_NAME

    if reason in {"internal", "out_of_memory"} or "fits into memory" in message:
        return NO_REASON
    if any(secret in message for secret in (PATIENT_ID, PATIENT_NAME)):
        return WRONG
    return str(reason)


def is_sound(film) -> bool:  # noqa: ANN001 - its class is imported late
    """Whether a film is what the reader promises."""
    import numpy as np

    pixels = film.pixels
    shaped = pixels.ndim == 3 and len(pixels) in {1, 3} and pixels.size > 0
    return bool(shaped and pixels.dtype == np.float32 and pixels.min() >= 0 and pixels.max() <= 1)


def check_bundle(bundle: MutatedBundle, random: Random) -> str:
    """Mutate a bundle and check it; say what came of it."""
    from pipelines.errors import PlainfilmError
    from pipelines.table_cells import table_text
    from pipelines.workflows.check import check_bundle
    from pipelines.workflows.untrusted import check_untrusted

    bundle.mutate(random)
    try:
        problems = check_bundle(bundle.bundle)
        if random.random() < 0.2:
            problems = [*problems, *check_untrusted(bundle.bundle)]
        lines = [table_text(each.within(bundle.bundle.name)) for each in problems]
        written = "\n".join(lines).encode()
    except PlainfilmError as error:
        return told(error.reason, str(error))
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{NO_REASON}: {type(error).__name__}"
    if written.count(b"\n") >= max(1, len(lines)) or b"\x1b" in written:
        return WRONG
    return "problems" if lines else "no problem"


def keep(folder: Path, found: Tally, seed: int) -> None:
    """Write what broke an expectation, and what took the most memory and time."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {n: re.sub(r"\W+", "_", outcome) for n, outcome in found.bad.items()}
    numbers |= {found.megabytes[1]: "largest", found.seconds[1]: "slowest"}
    files = [] if found.kind == CONFIG else begin(found.kind)
    for number, outcome in numbers.items():
        target = folder / f"{found.kind}_{number}_{outcome}"
        random = _random(found.kind, seed, number)
        if found.kind == CONFIG:
            MutatedBundle(target).mutate(random)
        else:
            target.write_bytes(mutate(found.kind, files, random))


def table(tallies: Sequence[Tally]) -> str:
    """Return what came of the tries as a table in Markdown."""
    head = ("kind", "tries", "read", "refused", *BAD, "peak MB", "slowest s")
    lines = [" | ".join(("", *head, "")).strip(), "|---|" + "--:|" * (len(head) - 1)]
    for each in tallies:
        good = each.outcomes.get("read", 0) + each.outcomes.get("no problem", 0)
        wrong = sum(each.outcomes.get(name, 0) for name in BAD)
        tries = sum(each.outcomes.values())
        cells = (
            *(each.kind, tries, good, tries - good - wrong),
            *(each.outcomes.get(name, 0) for name in BAD),
            *(f"{each.megabytes[0]:.0f}", f"{each.seconds[0]:.2f}"),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def reasons(outcomes: Mapping[str, int]) -> str:
    """Name the most frequent reasons with their counts."""
    others = {*BAD, "read", "no problem"}
    shown = sorted((-count, name) for name, count in outcomes.items() if name not in others)
    rest = sum(-count for count, _ in shown[REASONS_SHOWN:])
    told = [f"{name} {-count}" for count, name in shown[:REASONS_SHOWN]]
    return ", ".join([*told, f"others {rest}"] if rest else told)


def report(tallies: Sequence[Tally], options: argparse.Namespace, *, seconds: float) -> str:
    """Keep text and JSON of everything, and return the text."""
    lines = [
        *(table(tallies), ""),
        *(f"{each.kind}: {reasons(each.outcomes)}." for each in tallies),
        "",
        f"Seed {options.seed}, {options.workers} at a time, {seconds / 60:.0f} min.",
        *(
            f"{each.kind} {number}: {outcome}"
            for each in tallies
            for number, outcome in each.bad.items()
        ),
    ]
    text = "\n".join(lines) + "\n"
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "fuzz.md").write_text(text, encoding="utf-8")
    content = {
        "machine": measuring.machine(),
        "seed": options.seed,
        "hang_seconds": HANG_SECONDS,
        "seconds": round(seconds),
        "tallies": [asdict(each) for each in tallies],
    }
    (options.output / "fuzz.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return text


if __name__ == "__main__":
    sys.exit(main())
