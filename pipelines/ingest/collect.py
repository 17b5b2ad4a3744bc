"""A folder becomes a list of films; every file in it is accounted for."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.files import sha256
from pipelines.ingest.dicom import inspect_dicom
from pipelines.ingest.guard import guard_input
from pipelines.ingest.objects import StoredObject
from pipelines.ingest.shard import Shard
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.ingest.spooled import Spooled
from pipelines.predictions import Refusal
from pipelines.progress import progress


@dataclass(frozen=True, slots=True)
class Item:
    """One film to be read: a file, or one frame of a multi-frame file.

    Attributes:
        path: The file, to be opened.
        filename: Path relative to the root with `/`; frame n of a multi-frame file has `#n` behind
            it, counted from 1. A name that is not valid Unicode is escaped.
        frame: Index of the frame, from 0.
        origin: The object in a store, where the file must be fetched before it can be opened.
    """

    path: Path
    filename: str
    frame: int = 0
    origin: StoredObject | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An input that has a name and has not been looked into.

    Attributes:
        filename: As in `Item`, without a frame.
        path: The file.
        refusal: Why it cannot be an input, where its name or place says so.
        origin: As in `Item`.
    """

    filename: str
    path: Path
    refusal: InputError | None = None
    origin: StoredObject | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a first look into an input says.

    Attributes:
        frames: How many films it holds.
        instance: SOP Instance UID; empty where there is none.
        origin: As in `Item`, as it is now.
    """

    frames: int = 1
    instance: str = ""
    origin: StoredObject | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An input of a shard, with what puts it in order among those of the others.

    Attributes:
        place: Its number among the inputs of all shards, from 0.
        filename: As in `Entry`.
        frames: How many films it holds; 0 where it was refused.
        instance: Hash of its SOP Instance UID; empty where there is none.
        content: Names its content where it has an instance: equal for equal copies.
        refusal: Why it is no film.
    """

    place: int
    filename: str
    frames: int
    instance: str = ""
    content: str = ""
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All inputs that a shard has seen the names of, its own and those of others.

    Attributes:
        count: How many.
        digest: Hash of their names in order: shards of one run have the same.
        found: Those of this shard.
    """

    count: int
    digest: str
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """What a folder holds.

    Attributes:
        root: The folder or file that was looked through.
        items: Films to be read, in a stable order. Reading one may still fail.
        refusals: Files that are none, each with its reason, in the same order.
        listing: What lies beside a shard; None where everything was taken.
    """

    root: Path
    items: Sequence[Item]
    refusals: Sequence[Refusal]
    listing: Listing | None = None

    @property
    def inputs(self) -> int:
        """How many inputs there are; each file, and each frame of a multi-frame file, is one."""
        return len(self.items) + len(self.refusals)


class Source(Protocol):
    """Where inputs come from."""

    def entries(self) -> Iterable[Entry]:
        """Name all inputs in their order, each once."""

    def look(self, entry: Entry) -> Look:
        """Look into an input; raises an InputError if it is no film."""

    def content(self, entry: Entry) -> str:
        """Name its content: equal for equal copies."""


def collect(
    root: Path,
    *,
    passes_over: Callable[[Path], bool] | None = None,
    shard: Shard | None = None,
    show_progress: bool = False,
) -> Collection:
    """Find the films in a folder and below, or take a single file.

    Files are sorted by name, folder by folder. Of several DICOM files with one SOPInstanceUID the
    first is taken. Links are not followed: one that leads to something inside the root is a
    DUPLICATE of it, so loops cannot arise, and one that leads out of it is LINK_OUTSIDE_ROOT. A
    root that is itself a link is resolved.

    Args:
        root: Folder or file.
        passes_over: Says of each folder below the root, by its resolved path, whether nothing in
            it is an input, as in the output of an earlier prediction.
        shard: Take a share of the files alone, and list what puts it in order among the others.
        show_progress: Show on standard error how many files have been looked at.

    Returns:
        The items and the refusals; together they are all files found, those in folders that were
        passed over apart.

    Raises:
        ConfigurationError: If `root` does not exist.
    """
    try:
        resolved = root.resolve(strict=True)
    except OSError:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a folder or file as input, got {root.name!r}, which cannot be found; "
            "check the path",
        ) from None
    source = _Folder(resolved, root.name, passes_over=passes_over or (lambda _: False))
    return collect_from(source, root, shard=shard, show_progress=show_progress)


def collect_from(
    source: Source, root: Path, *, shard: Shard | None = None, show_progress: bool = False
) -> Collection:
    """Look into all inputs of a source, or into those of a shard.

    Args:
        source: Names them and looks into them.
        root: Where they come from, for the collection.
        shard: As of `collect`.
        show_progress: As of `collect`.

    Returns:
        The items and the refusals; together they are all inputs.
    """
    collector = _Collector(source, shard)
    entries: Iterable[Entry] = source.entries()
    if show_progress:
        entries = progress(entries, "looking for films", unit="file")
    for place, entry in enumerate(entries):
        collector.see(place, entry)
    return collector.collection(root)


class _Folder:
    """The files of a folder and below, or a single file."""

    def __init__(self, root: Path, name: str, *, passes_over: Callable[[Path], bool]) -> None:
        self._root = root
        self._name = name
        self._passes_over = passes_over

    def entries(self) -> Iterator[Entry]:
        """Name all files and links from the root on in the order of their names."""
        for each in _walk(self._root, self._passes_over):
            yield Entry(
                self._name
                if each.path == self._root
                else _printable(each.path.relative_to(self._root)),
                each.path,
                self._refusal(each),
            )

    def look(self, entry: Entry) -> Look:
        """Look into a file."""
        return look_into(entry.path)

    def content(self, entry: Entry) -> str:
        """Return the hash of a file."""
        return sha256(entry.path)

    def _refusal(self, each: "_Place") -> InputError | None:
        if each.is_folder:
            return InputError(
                Reason.FILE_UNREADABLE,
                "expected a folder that can be listed, got a locked one; check who may read it",
            )
        return self._refuse_link(each.path) if each.path.is_symlink() else None

    def _refuse_link(self, link: Path) -> InputError:
        try:
            target = link.resolve(strict=True)
        # A loop of links is a RuntimeError up to Python 3.12.
        except (OSError, RuntimeError):
            return InputError(
                Reason.FILE_UNREADABLE,
                "expected a link to a file, got one that leads nowhere; remove or repair it",
            )
        if target.is_relative_to(self._root):
            return InputError(
                Reason.DUPLICATE, "expected each file once, got a link to one inside this folder"
            )
        return InputError(
            Reason.LINK_OUTSIDE_ROOT,
            "expected files inside the input folder, got a link out of it; copy what it leads to",
        )


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    path: Path
    is_folder: bool


def _walk(root: Path, passes_over: Callable[[Path], bool]) -> Iterator[_Place]:
    """Yield all files and links from `root` on in the order of their names, and locked folders."""
    pending = [_Place(root, is_folder=root.is_dir())]
    while pending:
        entry = pending.pop()
        if not entry.is_folder:
            yield entry
            continue
        if entry.path != root and passes_over(entry.path):
            continue
        try:
            with os.scandir(entry.path) as children:
                pending += sorted(
                    (_Place(Path(one.path), one.is_dir(follow_symlinks=False)) for one in children),
                    reverse=True,
                )
        except OSError:
            yield entry


def look_into(path: Path) -> Look:
    """Look into a file.

    Args:
        path: The file.

    Returns:
        How many films it holds, and which instance a DICOM file says it is.

    Raises:
        InputError: If it is no film.
    """
    if sniff(path) is not FileFormat.DICOM:
        return Look()
    with guard_input():
        header = inspect_dicom(path)
    return Look(header.frames, header.sop_instance_uid)


def doubled(*, equal: bool) -> InputError:
    """Return the refusal of a file whose SOP Instance UID was seen before.

    Args:
        equal: Whether its content is that of the first one.
    """
    found = "an equal copy" if equal else "one with other content"
    return InputError(
        Reason.DUPLICATE,
        f"expected one file for each SOP Instance UID, got {found} of an earlier file; "
        "remove one of them",
    )


def frame_name(filename: str, frame: int, *, frames: int) -> str:
    """Name a film in tables.

    Args:
        filename: Of its file.
        frame: Index of the frame, from 0.
        frames: How many the file holds.
    """
    return filename if frames == 1 else f"{filename}#{frame + 1}"


class _Collector:
    def __init__(self, source: Source, shard: Shard | None) -> None:
        self._source = source
        self._shard = shard
        self._items: Spooled[Item] = Spooled()
        self._refusals: Spooled[Refusal] = Spooled()
        self._by_instance: dict[bytes, int] = {}
        self._firsts: Spooled[Entry] = Spooled()
        self._found: list[Found] = []
        self._count = 0
        self._names = hashlib.sha256()

    def see(self, place: int, entry: Entry) -> None:
        """Take an entry if it is ours, and count it if not."""
        if self._shard is not None:
            self._count += 1
            self._names.update(entry.filename.encode("utf-8", "surrogateescape") + b"\0")
            if not self._shard.holds(entry.filename):
                return
        self._take(place, entry)

    def collection(self, root: Path) -> Collection:
        """Return what was found."""
        listing = None
        if self._shard is not None:
            listing = Listing(self._count, self._names.hexdigest(), tuple(self._found))
        return Collection(root, self._items, self._refusals, listing)

    def _take(self, place: int, entry: Entry) -> None:
        """Make items or a refusal of an entry."""
        look, content = Look(0), ""
        refusal: Refusal | None = None
        try:
            if entry.refusal is not None:
                raise entry.refusal
            look = self._source.look(entry)
            entry = replace(entry, origin=look.origin)
            if self._shard is not None and look.instance:
                with guard_input():
                    content = self._source.content(entry)
            self._check_duplicate(look.instance, entry)
        except InputError as error:
            refusal = Refusal.of(entry.filename, error)
            self._refusals.append(refusal)
        else:
            name, frames = entry.filename, look.frames
            for n in range(frames):
                shown = frame_name(name, n, frames=frames)
                self._items.append(Item(entry.path, shown, n, entry.origin))
        if self._shard is not None:
            frames = look.frames if refusal is None else 0
            instance = content and hashlib.sha256(look.instance.encode()).hexdigest()[:32]
            found = Found(place, entry.filename, frames, instance, content, refusal)
            self._found.append(found)

    def _check_duplicate(self, instance: str, entry: Entry) -> None:
        # An empty UID says nothing about which instance it is.
        if not instance:
            return
        known = hashlib.sha256(instance.encode("utf-8", "surrogateescape")).digest()[:16]
        place = self._by_instance.setdefault(known, len(self._firsts))
        if place == len(self._firsts):
            self._firsts.append(entry)
            return
        with guard_input():
            equal = self._source.content(self._firsts[place]) == self._source.content(entry)
        raise doubled(equal=equal)


def _printable(path: Path) -> str:
    """Write a relative path with `/` and with bytes that are not UTF-8 escaped."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
