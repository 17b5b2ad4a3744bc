"""Files are written whole or not at all: under a temporary name first, then renamed."""

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.unfinished import begin_file


@contextmanager
def whole_file(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, it takes the place of `path`.

    The temporary name starts with a dot and is removed when the block raises; what a killed process
    left of `path` is removed by the next one that writes it. Parent folders are made as needed.
    After a power cut either the old or the new content stands, never a part.

    Args:
        path: Where the finished file shall stand.
        mode: Who may do what with it, whatever the umask; until then nobody but its owner.

    Yields:
        The path to write to; it has the suffix of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = begin_file(path)
    done = False
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        done = True
    finally:
        if not done:  # else the name may be another writer's by now
            temporary.unlink(missing_ok=True)
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN is refused.

    Raises:
        ValueError: If a float in `value` is not finite.
    """
    write_text(path, _indented(value) + "\n")


def write_json_with_list(
    path: Path, value: Mapping[str, object], name: str, members: Iterable[object]
) -> None:
    """Write what `write_json` would write of an object that ends with a list, a member at a time.

    Args:
        path: Where to write.
        value: The object without the list, not empty.
        name: Key of the list, behind all others.
        members: What the list holds.

    Raises:
        ValueError: If a float is not finite.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write(f"{_indented(value).removesuffix(_CLOSED)},\n  {json.dumps(name)}: [")
        before = "\n    "
        for member in members:
            out.write(before + _indented(member).replace("\n", "\n    "))
            before = ",\n    "
        out.write("]" if before == "\n    " else "\n  ]")
        out.write(f"{_CLOSED}\n")


_CLOSED = "\n}"


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def link(source: Path, target: Path) -> None:
    """Let a second name stand for a file; where the file system has no hard links, copy it.

    What stands at `target` is replaced. Whoever writes files whole, by renaming, never changes the
    other name's content.

    Args:
        source: The file.
        target: Its second name; parent folders are made as needed.
    """
    with whole_file(target) as temporary:
        temporary.unlink()
        try:
            temporary.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, temporary)


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; what cannot be read or is none counts as empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table with a header line, whole or not at all.

    Args:
        path: Where to write.
        columns: Names and order of the columns.
        rows: One mapping a row, with exactly these keys.

    Raises:
        ValueError: If a row has a key that is no column.
    """
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, fieldnames=list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
