"""Films with masks: a tree of folders becomes pairs of a film and the place of its masks.

Layouts, with or without `train`, `val` and `test` above them:

- `DCM/ID001/image1_R.png` with `outputs_json/ID001/image1_R.json`: hands, a folder a person;
- `images/name.png` with `masks/name.png`: any pairs, in folders by person or in none.

Masks bear the name of their film, whatever the suffix; a folder of that name holds one mask a
class. `pipelines.transforms.layers.load_layers` says what masks may be.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.datasets.films import SPLIT_OF_NAME, LayoutError, Split, is_image
from pipelines.datasets.pseudonyms import pseudonym

FOLDERS = (("DCM", "outputs_json"), ("images", "masks"))
"""Names of the folders of films and of masks, by layout."""

MASK_SUFFIXES = (".json", ".png", ".bmp", ".tif", ".tiff", ".gif", ".nii", ".nii.gz")

_MAXIMUM_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """A film and the place of its masks.

    Attributes:
        image: The film.
        label: A file or a folder.
        name: Path of the film below the data set's folder; it is what messages show.
        split: The split that the layout or the table puts it in.
        patient: Pseudonym of the person; None when nothing but the name may tell it.
        fold: The fold that a table puts it in.
        columns: Further columns of the table.
    """

    image: Path
    label: Path
    name: str
    split: Split | None = None
    patient: str | None = None
    fold: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


class Problem(NamedTuple):
    """What is wrong with one file.

    Attributes:
        file: Path below the data set's folder.
        problem: What is wrong, as a phrase.
    """

    file: str
    problem: str


@dataclass(frozen=True, slots=True)
class PairsFound:
    """What a folder or a table holds.

    Attributes:
        root: The data set's folder.
        pairs: By name.
        problems: What kept films and masks from becoming pairs.
        notes: What a user should know, a sentence each.
        classes: Names of the channels, where a table has them.
    """

    root: Path
    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def find_pairs(directory: Path) -> PairsFound:
    """Read a tree of films and masks.

    Args:
        directory: The data set's folder; the tree may lie up to three folders deeper.

    Returns:
        The pairs. Films of a split that has no masks at all are left out with a note.

    Raises:
        LayoutError: If there are no such folders.
    """
    root, places = _find_folders(directory)
    pairs: list[Pair] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for split, images, masks in places:
        films = {_key(path, images): path for path in _files(images) if is_image(path)}
        if not masks.is_dir():
            name = images.relative_to(root).as_posix()
            notes.append(f"{len(films)} films in {name} have no masks and are left out")
            continue
        found = _masks_by_key(masks, films)
        pairs += _matched(films, found, root=root, images=images, split=split)
        problems += _unmatched(films, found, root=root)
    return PairsFound(
        root,
        tuple(sorted(pairs, key=lambda pair: pair.name)),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _find_folders(directory: Path) -> tuple[Path, list[tuple[Split | None, Path, Path]]]:
    """The data set's folder, and split, films and masks of each part of it.

    Raises:
        LayoutError: If there is none.
    """
    root = directory
    for _ in range(_MAXIMUM_DEPTH):
        parents: dict[Path, Split | None] = {root: None}
        below = sorted(path for path in root.iterdir() if path.is_dir())
        parents |= {
            path: SPLIT_OF_NAME[path.name.casefold()]
            for path in below
            if path.name.casefold() in SPLIT_OF_NAME
        }
        places = [
            (split, parent / images, parent / masks)
            for parent, split in parents.items()
            for images, masks in FOLDERS
            if (parent / images).is_dir()
        ]
        if places:
            return root, places
        if len(below) != 1:
            break
        root = below[0]
    names = " or ".join(f"{images}/ with {masks}/" for images, masks in FOLDERS)
    raise LayoutError(
        f"expected films with masks in the folders {names}, got none of them",
        remedy="give the folder that holds them (or train/ and test/), a CSV or a datalist file",
    )


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _key(path: Path, folder: Path) -> str:
    """What the names of a film and of its mask share."""
    name = path.relative_to(folder).as_posix()
    return name[: -len(".nii.gz")] if name.endswith(".nii.gz") else name[: -len(path.suffix)]


def _masks_by_key(masks: Path, films: Iterable[str]) -> dict[str, list[Path]]:
    """Every mask by its key; a folder named as a film counts as one."""
    folders = {key for key in films if (masks / key).is_dir()}
    found: dict[str, list[Path]] = defaultdict(list)
    for key in folders:
        found[key].append(masks / key)
    for path in _files(masks):
        within = {parent.as_posix() for parent in path.relative_to(masks).parents}
        if path.name.lower().endswith(MASK_SUFFIXES) and not within & folders:
            found[_key(path, masks)].append(path)
    return found


def _matched(
    films: dict[str, Path],
    found: dict[str, list[Path]],
    *,
    root: Path,
    images: Path,
    split: Split | None,
) -> Iterator[Pair]:
    for key, path in films.items():
        if len(found.get(key, ())) == 1:
            folder = path.relative_to(images).parts[:-1]
            yield Pair(
                image=path.absolute(),
                label=found[key][0].absolute(),
                name=path.relative_to(root).as_posix(),
                split=split,
                patient=pseudonym(folder[0]) if folder else None,
            )


def _unmatched(
    films: dict[str, Path], found: dict[str, list[Path]], *, root: Path
) -> Iterator[Problem]:
    for key, path in films.items():
        name = path.relative_to(root).as_posix()
        if key not in found:
            yield Problem(name, "no masks belong to it")
        elif len(found[key]) > 1:
            yield Problem(name, f"{len(found[key])} masks belong to it: {_names(found[key], root)}")
    for key, paths in found.items():
        if key not in films:
            yield from (Problem(_names([path], root), "no film belongs to it") for path in paths)


def _names(paths: Sequence[Path], root: Path) -> str:
    return ", ".join(path.relative_to(root).as_posix() for path in paths)
