"""The leak check: what stands on two sides of a split or contradicts itself, before any training.

It finds files with the same bytes, near copies (see `near_copies`), groups on two sides of a split,
films under two labels, files whose content is not what their suffix says, and classes without
images. What stands on two sides of a split is a leak: figures on such films are too good. The rest
is a warning.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath, PurePosixPath

from pipelines.datasets.copies import FilmCopies, places_of
from pipelines.datasets.datalist import Datalist
from pipelines.datasets.films import SPLITS, Split
from pipelines.datasets.leak_kinds import LeakKind
from pipelines.ingest.sniff import FileFormat


class Severity(StrEnum):
    """Whether figures are wrong because of it."""

    LEAK = "leak"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A film of the data set, or a folder, as tables name it.

    Attributes:
        file: Path below the data set's folder.
        split: Its split; empty for what is in none.
        label: Name of its class; empty for masks.
        group: Pseudonym of its patient or lesion.
    """

    file: str = ""
    split: str = ""
    label: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: a pair of films, or one file or class.

    Attributes:
        kind: What it is.
        first: The film of the earlier split (train, val, test), or the file, or the class.
        second: The other film; empty where there is none.
        similarity: 1 for the same bytes; for near copies how far their detail agrees, 0 to 1; None
            where the two were not compared with each other, but both with a third film.
    """

    kind: LeakKind
    first: Place
    second: Place = field(default_factory=Place)
    similarity: float | None = None

    @property
    def severity(self) -> Severity:
        """A leak where the two stand in different splits."""
        across = self.second.file and self.first.split != self.second.split
        return Severity.LEAK if across else Severity.WARNING


_SUFFIXES: Mapping[str, FileFormat] = {
    ".dcm": FileFormat.DICOM,
    ".dicom": FileFormat.DICOM,
    ".png": FileFormat.PNG,
    ".jpg": FileFormat.JPEG,
    ".jpeg": FileFormat.JPEG,
    ".bmp": FileFormat.BMP,
    ".tif": FileFormat.TIFF,
    ".tiff": FileFormat.TIFF,
    ".gif": FileFormat.GIF,
    ".nii": FileFormat.NIFTI,
    ".nii.gz": FileFormat.NIFTI,
    ".mha": FileFormat.METAIMAGE,
    ".mhd": FileFormat.METAIMAGE,
    ".nrrd": FileFormat.NRRD,
}


@dataclass(frozen=True, slots=True)
class _Film:
    """A film with what the check needs of it."""

    path: Path
    place: Place
    label: int | None


def find_leaks(datalist: Datalist) -> tuple[Finding, ...]:
    """Check a data set for leaks and contradictions.

    Args:
        datalist: The films; their copies are looked for where that was not done yet.

    Returns:
        What was found, leaks first, then by kind and name. Of a film that has several copies, each
        but one has a row, with a copy in another split where there is one.
    """
    films = [
        _Film(
            Path(item["image"]),
            Place(
                datalist.name_of(item),
                split,
                datalist.classes[item["label"]] if isinstance(item["label"], int) else "",
                str(item["group"]),
            ),
            item["label"] if isinstance(item["label"], int) else None,
        )
        for split, item in datalist.with_splits()
    ]
    copies = datalist.film_copies()
    found = [
        *_copies(films, copies),
        *_shared_groups(films),
        *_wrong_suffixes(datalist, films, copies),
        *_empty_classes(datalist, films),
    ]
    order = {kind: number for number, kind in enumerate(LeakKind)}
    return tuple(
        sorted(found, key=lambda each: (each.severity, order[each.kind], each.first, each.second))
    )


def _copies(films: Sequence[_Film], copies: FilmCopies) -> Iterator[Finding]:
    similar = {frozenset((pair.first, pair.second)): pair.similarity for pair in copies.near}
    for places in places_of(copies.sets, [film.path for film in films]):
        members = [films[place] for place in places]
        for number, film in enumerate(members[1:], start=1):
            yield _pair(film, members[:number], copies, similar)
        yield from _two_labels(members)


def _pair(
    film: _Film,
    earlier: Sequence[_Film],
    copies: FilmCopies,
    similar: Mapping[frozenset[Path], float],
) -> Finding:
    """Pair a film with the copy that tells most: of another split, then the most alike."""
    digest = copies.surveyed(film.path).digest

    def alike(other: _Film) -> float:
        if copies.surveyed(other.path).digest == digest:
            return 1.0
        return similar.get(frozenset((film.path, other.path)), 0.0)

    other = max(earlier, key=lambda each: (each.place.split != film.place.split, alike(each)))
    same = copies.surveyed(other.path).digest == digest
    kind = LeakKind.BYTE_COPY if same else LeakKind.NEAR_COPY
    return Finding(kind, other.place, film.place, alike(other) or None)


def _two_labels(members: Sequence[_Film]) -> Iterator[Finding]:
    first: dict[int, _Film] = {}
    for film in members:
        if film.label is None:
            continue
        if first and film.label not in first:
            yield Finding(LeakKind.TWO_LABELS, next(iter(first.values())).place, film.place)
        first.setdefault(film.label, film)


def _shared_groups(films: Sequence[_Film]) -> Iterator[Finding]:
    sides: dict[str, dict[str, Place]] = defaultdict(dict)
    for film in films:
        sides[film.place.group].setdefault(film.place.split, film.place)
    for places in sides.values():
        first, *others = places.values()
        yield from (Finding(LeakKind.SAME_GROUP, first, other) for other in others)


def _wrong_suffixes(
    datalist: Datalist, films: Sequence[_Film], copies: FilmCopies
) -> Iterator[Finding]:
    for film in films:
        said = _said(film.path)
        if said is not None and copies.surveyed(film.path).file_format not in {said, None}:
            yield Finding(LeakKind.WRONG_SUFFIX, film.place)
    for name in datalist.left_out:
        if _said(PurePosixPath(name)) is not None:
            yield Finding(LeakKind.WRONG_SUFFIX, Place(name))


def _said(path: PurePath) -> FileFormat | None:
    """What a name says of its content; of two suffixes both count."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return _SUFFIXES.get("".join(suffixes)) or _SUFFIXES.get("".join(suffixes[-1:]))


def _empty_classes(datalist: Datalist, films: Sequence[_Film]) -> Iterator[Finding]:
    for name in datalist.empty:
        yield Finding(LeakKind.EMPTY_CLASS, Place(name))
    if any(film.label is None for film in films):
        return
    there = {(film.place.split, film.place.label) for film in films}
    splits: list[Split] = [split for split in SPLITS if any(split == one for one, _ in there)]
    for name in datalist.classes:
        lacking = [split for split in splits if (split, name) not in there]
        if len(lacking) == len(splits):
            yield Finding(LeakKind.EMPTY_CLASS, Place(label=name))
            continue
        for split in lacking:
            yield Finding(LeakKind.EMPTY_CLASS, Place(split=split, label=name))
