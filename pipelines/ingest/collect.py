"""A folder becomes a list of films; every file in it is accounted for."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.files import sha256
from pipelines.ingest.dicom import inspect_dicom
from pipelines.ingest.guard import guard_input
from pipelines.ingest.sniff import FileFormat, sniff
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
    """

    path: Path
    filename: str
    frame: int = 0


@dataclass(frozen=True, slots=True)
class Collection:
    """What a folder holds.

    Attributes:
        root: The folder or file that was looked through.
        items: Films to be read, in a stable order. Reading one may still fail.
        refusals: Files that are none, each with its reason, in the same order.
    """

    root: Path
    items: tuple[Item, ...]
    refusals: tuple[Refusal, ...]

    @property
    def inputs(self) -> int:
        """How many inputs there are; each file, and each frame of a multi-frame file, is one."""
        return len(self.items) + len(self.refusals)


def collect(
    root: Path,
    *,
    passes_over: Callable[[Path], bool] | None = None,
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
    collector = _Collector(resolved)
    entries = _walk(resolved, passes_over or (lambda _: False))
    if show_progress:
        entries = progress(entries, "looking for films", unit="file")
    for entry in entries:
        collector.add(entry, root.name if entry.path == resolved else "")
    return Collection(root, tuple(collector.items), tuple(collector.refusals))


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    path: Path
    is_folder: bool


def _walk(root: Path, passes_over: Callable[[Path], bool]) -> Iterator[_Entry]:
    """Yield all files and links from `root` on in the order of their names, and locked folders."""
    pending = [_Entry(root, is_folder=root.is_dir())]
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
                    (_Entry(Path(one.path), one.is_dir(follow_symlinks=False)) for one in children),
                    reverse=True,
                )
        except OSError:
            yield entry


class _Collector:
    def __init__(self, root: Path) -> None:
        self.items: list[Item] = []
        self.refusals: list[Refusal] = []
        self._root = root
        self._by_instance: dict[str, Path] = {}

    def add(self, entry: _Entry, filename: str) -> None:
        """Make items or a refusal of one entry; `filename` is worked out where it is empty."""
        filename = filename or _printable(entry.path.relative_to(self._root))
        try:
            frames = self._count_frames(entry)
        except InputError as error:
            self.refusals.append(Refusal.of(filename, error))
            return
        if frames == 1:
            self.items.append(Item(entry.path, filename))
            return
        self.items += [Item(entry.path, f"{filename}#{n + 1}", n) for n in range(frames)]

    def _count_frames(self, entry: _Entry) -> int:
        if entry.is_folder:
            raise InputError(
                Reason.FILE_UNREADABLE,
                "expected a folder that can be listed, got a locked one; check who may read it",
            )
        if entry.path.is_symlink():
            raise self._refuse_link(entry.path)
        if sniff(entry.path) is not FileFormat.DICOM:
            return 1
        with guard_input():
            header = inspect_dicom(entry.path)
            self._check_duplicate(header.sop_instance_uid, entry.path)
            return header.frames

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

    def _check_duplicate(self, instance: str, path: Path) -> None:
        # An empty UID says nothing about which instance it is.
        first = self._by_instance.setdefault(instance, path) if instance else path
        if first == path:
            return
        found = "an equal copy" if sha256(first) == sha256(path) else "one with other content"
        raise InputError(
            Reason.DUPLICATE,
            f"expected one file for each SOP Instance UID, got {found} of an earlier file; "
            "remove one of them",
        )


def _printable(path: Path) -> str:
    """Write a relative path with `/` and with bytes that are not UTF-8 escaped."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
