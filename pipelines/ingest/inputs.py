"""Inputs from elsewhere than a folder: lists of paths, and objects in a store."""

import logging
import os
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.files import sha256
from pipelines.ingest.collect import Entry, Look, look_into
from pipelines.ingest.guard import guard_input
from pipelines.ingest.lists import STDIN, read_list
from pipelines.ingest.objects import (
    ObjectStore,
    StoredObject,
    is_plain,
    scheme_of,
    sized_head,
)
from pipelines.ingest.shard import Shard

_HEAD_BYTES = 256 * 1024
_LOOKS_AT_ONCE = 16
_AHEAD = 64
_log = logging.getLogger(__name__)


class Inputs:
    """Named inputs, each a local file or an object; objects are looked into by several threads.

    Args:
        entries: The inputs in order; `origin` says which are objects.
        stores: What opens their URLs, by scheme.
        scratch: Folder for what is fetched to be looked into.
        shard: Which of them are looked into.
    """

    def __init__(
        self,
        entries: list[Entry],
        stores: dict[str, ObjectStore],
        *,
        scratch: Path,
        shard: Shard | None = None,
    ) -> None:
        self._entries = entries
        self._stores = stores
        self._scratch = scratch
        self._shard = shard
        self._looks: dict[str, Future[Look]] = {}

    def entries(self) -> Iterator[Entry]:
        """Name all inputs; threads look into objects ahead of whoever takes them."""
        waiting: deque[Entry] = deque()
        with ThreadPoolExecutor(_LOOKS_AT_ONCE, thread_name_prefix="look") as pool:
            for entry in self._entries:
                ours = self._shard is None or self._shard.holds(entry.filename)
                if entry.origin is not None and entry.refusal is None and ours:
                    look = pool.submit(self._look_into, entry.origin)
                    self._looks[entry.filename] = look
                waiting.append(entry)
                if len(waiting) > _AHEAD:
                    yield waiting.popleft()
            yield from waiting

    def look(self, entry: Entry) -> Look:
        """Look into an input.

        Raises:
            InputError: If it is no film, is missing, or cannot be fetched.
        """
        if entry.origin is not None:
            return self._looks.pop(entry.filename).result()
        if not os.path.lexists(entry.path):
            raise InputError(
                Reason.MISSING, "expected a file that is in the list, got none at its path"
            )
        return look_into(entry.path)

    def content(self, entry: Entry) -> str:
        """Name the content of an input: its hash, or what the store calls its version."""
        if entry.origin is None:
            return sha256(entry.path)
        return f"{entry.origin.size} {entry.origin.version}"

    def _look_into(self, listed: StoredObject) -> Look:
        """Look into an object by its beginning, or whole where that is not enough.

        Raises:
            InputError: As `look` does.
        """
        store = self._stores[listed.url.partition("://")[0]]
        listed = listed if listed.version else store.info(listed.url)
        target = self._scratch / f"look-{uuid.uuid4().hex}"
        try:
            with guard_input():
                sized_head(store.head(listed.url, _HEAD_BYTES), listed.size, target)
                try:
                    return replace(look_into(target), origin=listed)
                except InputError:
                    if listed.size <= _HEAD_BYTES:
                        raise
                store.fetch(listed.url, target)
                return replace(look_into(target), origin=listed)
        finally:
            target.unlink(missing_ok=True)


def listed_inputs(source: str) -> tuple[list[Entry], dict[str, ObjectStore]]:
    """Name the inputs of a list.

    A relative path is relative to the list (from standard input: to the current folder) and is the
    name in tables. An absolute one is named without its first `/`, an object `bucket/key`.

    Args:
        source: As of `read_list`.

    Returns:
        The inputs in the order of the list, and what opens their URLs.

    Raises:
        ConfigurationError: If the list cannot be read, or two inputs would have one name.
    """
    base = Path.cwd() if source == STDIN else Path(source).resolve().parent
    stores: dict[str, ObjectStore] = {}
    entries: dict[str, Entry] = {}
    for line in read_list(source):
        entry = _listed(line, base, stores)
        if entries.setdefault(entry.filename, entry) is not entry:
            known = entries[entry.filename]
            if (known.path, known.origin) != (entry.path, entry.origin):
                raise ConfigurationError(
                    Reason.CONFIGURATION,
                    "expected inputs of different names in the list, got two of one name in a "
                    "bucket and on a disk; predict them by two lists",
                )
    return list(entries.values()), stores


def _listed(line: str, base: Path, stores: dict[str, ObjectStore]) -> Entry:
    scheme = scheme_of(line)
    if scheme is None or scheme == "file":
        path = Path(os.path.normpath(base / line.removeprefix("file://")))
        below = path.relative_to(base if path.is_relative_to(base) else path.anchor)
        printable = os.fsencode(below.as_posix()).decode("utf-8", "backslashreplace")
        return Entry(printable, path)
    name = line.partition("://")[2]
    if not is_plain(name):
        return Entry(name, Path(), _no_path())
    if scheme not in stores:
        stores[scheme] = ObjectStore(scheme)
        stores[scheme].open()
    return Entry(name, Path(), None, StoredObject(line, 0, ""))


def stored_inputs(prefix: str, journal: str) -> tuple[list[Entry], dict[str, ObjectStore]]:
    """Name the objects below a prefix, as files of a folder are named and ordered.

    Args:
        prefix: A URL of a store.
        journal: Name of the file that marks the output of an earlier prediction, which is passed
            over.

    Returns:
        The inputs, and what opens their URLs.

    Raises:
        ConfigurationError: If the store cannot be listed.
    """
    scheme = scheme_of(prefix) or ""
    store = ObjectStore(scheme)
    root = prefix.rstrip("/")
    found = {
        each.url.removeprefix(f"{root}/") if each.url != root else root.rpartition("/")[2]: each
        for each in store.find(root)
    }
    outputs = {name.removesuffix(journal) for name in found if name.endswith(f"/{journal}")}
    for output in sorted(outputs):
        _log.warning("passed over, since it is the output of an earlier prediction: %r", output)
    names = [name for name in found if not any(name.startswith(output) for output in outputs)]
    names.sort(key=lambda name: name.split("/"))
    return [
        Entry(name, Path(), None if is_plain(name) else _no_path(), found[name]) for name in names
    ], {scheme: store}


def _no_path() -> InputError:
    return InputError(
        Reason.FILE_UNREADABLE,
        "expected an object whose name is a path, got one with an empty part, '.' or '..'; "
        "rename it",
    )
