"""A finished part of a prediction says what it is a part of: a file beside its tables.

With it and the journal beside it, parts that were predicted on different machines become one set of
tables (`merge`), without weights, without a network and without the films themselves.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import Reason
from pipelines.files import whole_file
from pipelines.ingest.collect import Found, Listing
from pipelines.ingest.shard import Shard
from pipelines.predictions import Refusal
from pipelines.results.task_tables import TaskTables, tables_of

PART_NAME = ".part.jsonl"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A finished part of a prediction.

    Attributes:
        folder: Where its tables and its journal stand.
        shard: Which part of how many.
        task: Name of the class of its records.
        tables: What writes tables of such records.
        about: What predicted: bundle, weights, operating point, options.
        speed: How long it took, and how many films came from an earlier run.
        objects: Kinds of DICOM objects, and what names their settings under `made_by`; empty where
            there are none.
        listing: Its inputs, and how many there were with those of other parts.
    """

    folder: Path
    shard: Shard
    task: str
    tables: TaskTables
    about: Mapping[str, object]
    speed: Mapping[str, Any]
    objects: Mapping[str, Any]
    listing: Listing


def write_part(part: Part) -> None:
    """Write what a part is a part of, whole or not at all.

    Args:
        part: It is finished: nothing is written to its folder after this.
    """
    head = {
        "shard": str(part.shard),
        "task": part.task,
        "tables": asdict(part.tables),
        "about": part.about,
        "speed": part.speed,
        "objects": part.objects,
        "count": part.listing.count,
        "digest": part.listing.digest,
    }
    with (
        whole_file(part.folder / PART_NAME) as temporary,
        temporary.open("w", encoding="utf-8") as out,
    ):
        out.write(json.dumps(head, default=str) + "\n")
        out.writelines(json.dumps(asdict(each)) + "\n" for each in part.listing.found)


def read_part(folder: Path) -> Part | None:
    """Read what a part is a part of.

    Args:
        folder: Of the part.

    Returns:
        The part; None if it is not finished.
    """
    try:
        with (folder / PART_NAME).open(encoding="utf-8") as lines:
            head = json.loads(next(lines))
            found = tuple(_found(json.loads(line)) for line in lines)
        return Part(
            folder=folder,
            shard=Shard.parse(head["shard"]),
            task=head["task"],
            tables=tables_of(head["task"], head["tables"]),
            about=head["about"],
            speed=head["speed"],
            objects=head["objects"],
            listing=Listing(head["count"], head["digest"], found),
        )
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


def forget_part(folder: Path) -> None:
    """Say that a part is not finished, before anything in its folder changes."""
    (folder / PART_NAME).unlink(missing_ok=True)


def _found(line: Mapping[str, Any]) -> Found:
    refusal = line["refusal"]
    if refusal is not None:
        refusal = Refusal(refusal["filename"], Reason(refusal["reason"]), refusal["message"])
    return Found(**{**line, "refusal": refusal})
