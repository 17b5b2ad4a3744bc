"""Whether parts of a prediction fit together, and how their inputs stand in order."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.journal import INPUT_FOLDER, JOURNAL_NAME, journal_lines
from pipelines.inference.part import Part, read_part
from pipelines.ingest.collect import Found, doubled
from pipelines.ingest.shard import Shard, shard_of
from pipelines.predictions import Refusal

_SHOWN = 5


def read_parts(output: Path, folders: Sequence[Path]) -> list[Part]:
    """Read all parts of a prediction.

    Args:
        output: Folder that they stand in.
        folders: Of the parts, where they stand elsewhere.

    Returns:
        All of them, in order.

    Raises:
        ConfigurationError: PARTS_MISMATCH if one is missing, not finished, or there twice.
    """
    found = [*folders] or sorted(each for each in _folders(output) if shard_of(each))
    if not found:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected folders shard-*-of-* in {output.name!r}, got none; give the OUTPUT of "
            "predict --shard, or the folders of the shards behind it",
        )
    read = [(folder, read_part(folder)) for folder in found]
    unfinished = [folder.name for folder, part in read if part is None]
    if unfinished:
        shown = ", ".join(map(repr, unfinished[:_SHOWN]))
        raise ConfigurationError(
            Reason.PARTS_MISMATCH,
            mismatch("finished shards", f"{len(unfinished)} not: {shown}", "run"),
        )
    parts = sorted((part for _, part in read if part), key=lambda part: part.shard)
    _require_all([part.shard for part in parts])
    return parts


def _folders(output: Path) -> Iterable[Path]:
    with suppress(OSError):
        yield from (each for each in output.iterdir() if each.is_dir())


def _require_all(shards: Sequence[Shard]) -> None:
    """Refuse shards of which one is missing or there twice.

    Raises:
        ConfigurationError: PARTS_MISMATCH.
    """
    counts = sorted({shard.count for shard in shards})
    if len(counts) > 1:
        both = " and ".join(map(str, counts))
        raise ConfigurationError(
            Reason.PARTS_MISMATCH, mismatch("shards of one run", f"shards of {both}", "name")
        )
    doubled_ones = [str(shard) for shard, times in Counter(shards).items() if times > 1]
    if doubled_ones:
        raise ConfigurationError(
            Reason.PARTS_MISMATCH,
            mismatch("each shard once", f"{doubled_ones[0]} more than once", "name"),
        )
    missing = sorted({*range(counts[0])} - {shard.index for shard in shards})
    if missing:
        shown = ", ".join(f"{index}/{counts[0]}" for index in missing[:_SHOWN])
        raise ConfigurationError(
            Reason.PARTS_MISMATCH,
            mismatch(f"all {counts[0]} shards", f"{len(missing)} missing: {shown}", "run"),
        )


def require_agreement(parts: Sequence[Part]) -> None:
    """Refuse parts of which one was made in another way, or of other inputs, than the others.

    Args:
        parts: In order.

    Raises:
        ConfigurationError: PARTS_MISMATCH, with what differs.
    """
    first, *others = parts
    settings = _settings(first)
    for part in others:
        differing = [name for name, value in _settings(part).items() if value != settings[name]]
        if differing:
            raise ConfigurationError(
                Reason.PARTS_MISMATCH,
                mismatch(
                    "shards of one and the same prediction",
                    f"other values in shard {part.shard} than in {first.shard} of: "
                    f"{', '.join(differing)}",
                    "anew",
                ),
            )
    seen = Counter((part.listing.count, part.listing.digest) for part in parts)
    if len(seen) > 1:
        (usual, _), *_ = seen.most_common()
        other = [each for each in parts if (each.listing.count, each.listing.digest) != usual]
        raise ConfigurationError(
            Reason.PARTS_MISMATCH,
            mismatch(
                "shards that saw the same inputs",
                f"{usual[0]} inputs seen by most, and other ones by {named(other)}",
                "again",
            ),
        )


def _settings(part: Part) -> dict[str, object]:
    """Return what has to be equal, under names that a person knows."""
    journal = fingerprint_of(part)
    shaping = {name: journal[name] for name in sorted(journal) if name != INPUT_FOLDER}
    tables = json.dumps({"task": part.task, **asdict(part.tables)}, sort_keys=True)
    return {
        **shaping,
        "task and classes": tables,
        "DICOM results": json.dumps(part.objects, sort_keys=True),
        "options": json.dumps(part.about, sort_keys=True),
    }


def fingerprint_of(part: Part) -> Mapping[str, object]:
    """Return the first line of a part's journal; empty if there is none.

    Args:
        part: The part.
    """
    with suppress(OSError, ValueError, StopIteration):
        line, _ = next(journal_lines(part.folder / JOURNAL_NAME))
        content = json.loads(line)
        if isinstance(content, dict):
            return content
    return {}


def in_order(parts: Sequence[Part]) -> list[tuple[Part, Found]]:
    """Return all inputs in the order of one run.

    Args:
        parts: In order; they saw the same inputs.

    Returns:
        Each input with the part that it stands in.

    Raises:
        ConfigurationError: PARTS_MISMATCH if an input is lost, or stands in two parts.
    """
    inputs = sorted(
        ((part, found) for part in parts for found in part.listing.found),
        key=lambda each: each[1].place,
    )
    count = parts[0].listing.count
    places = {found.place for _, found in inputs}
    if len(inputs) != count or len(places) != count:
        raise ConfigurationError(
            Reason.PARTS_MISMATCH,
            mismatch(
                f"each of the {count} inputs in one shard",
                f"{count - len(places)} in none and {len(inputs) - len(places)} twice",
                "anew",
            ),
        )
    return inputs


def resolved(inputs: Sequence[tuple[Part, Found]]) -> list[tuple[Part, Found]]:
    """Refuse what has the SOP Instance UID of an earlier input, in whichever part that is.

    Args:
        inputs: As `in_order` returns them.

    Returns:
        The same inputs, refused as one run would have refused them.
    """
    first: dict[str, Found] = {}
    told = []
    for part, found in inputs:
        earlier = first.setdefault(found.instance, found) if found.instance else found
        if earlier is found:
            told.append((part, found))
            continue
        error = doubled(equal=earlier.content == found.content)
        refusal = Refusal.of(found.filename, error)
        told.append((part, replace(found, frames=0, refusal=refusal)))
    return told


def named(parts: Sequence[Part]) -> str:
    """Name the first few of some parts.

    Args:
        parts: Some.
    """
    shown = ", ".join(str(part.shard) for part in parts[:_SHOWN])
    return shown if len(parts) <= _SHOWN else f"{shown} and {len(parts) - _SHOWN} more"


_ADVICE = {
    "run": "run those shards to their end, then merge again",
    "name": "name the folders of the shards behind OUTPUT",
    "anew": "predict those shards again with the same command for all",
    "again": "run all shards again, which predicts only what is new, then merge",
}


def mismatch(expected: str, got: str, advice: str) -> str:
    """Say what does not fit together, and what to do.

    Args:
        expected: The rule.
        got: What broke it.
        advice: A key of `_ADVICE`.
    """
    return f"expected {expected}, got {got}; {_ADVICE[advice]}"
