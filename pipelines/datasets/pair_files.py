"""The rows of a table become pairs of a film and the place of its masks.

A CSV has a row a film: `image_name` and, where known, `label` (the place of the masks), `id` (whose
film it is), `split` and `fold`; the case of column names does not matter. Without a label the masks
are what bears the name of the film, with another suffix or in another folder. A JSON list is one
that `Datalist.write` has written.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.datasets.datalist_rows import read_rows
from pipelines.datasets.films import SPLIT_OF_NAME, LayoutError, relative_name
from pipelines.datasets.pairs import FOLDERS, MASK_SUFFIXES, Pair, PairsFound, Problem
from pipelines.datasets.pseudonyms import pseudonym
from pipelines.datasets.traits import is_identifying

_IMAGE = ("image_name", "image", "filename", "file", "path", "image_id")
_LABEL = ("label", "mask", "masks", "json", "annotation")
_PERSON = ("id", "group", "patient", "patient_id", "person")
_USED = frozenset({*_IMAGE, *_LABEL, *_PERSON, "split", "fold"})
_MASK_FOLDERS = frozenset({"mask", "labels", *(masks for _, masks in FOLDERS)})
_REMEDY = "write a CSV with the columns image_name[,label][,id][,split][,fold]"


def find_listed_pairs(file: Path, *, group_column: str | None = None) -> PairsFound:
    """Read a table and find its films and masks.

    Args:
        file: CSV, or JSON as written by `Datalist.write`; names in it are relative to its folder.
        group_column: Column of a CSV that says whose film it is.

    Returns:
        The pairs, in the order of the table.

    Raises:
        LayoutError: If the table cannot be read or lacks a column.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(
            f"expected a list of films in UTF-8, got {type(error).__name__}", remedy=_REMEDY
        ) from None
    if text.lstrip().startswith("{"):
        return _from_json(file)
    return _from_csv(text, file.absolute().parent, group_column=group_column)


def _from_json(file: Path) -> PairsFound:
    table = read_rows(file)
    pairs, problems = [], []
    for row in table.rows:
        image, label = table.root / row.image, table.root / row.label
        missing = [path for path in (image, label) if not path.exists()]
        problems += [
            Problem(relative_name(path, table.root), "it is not there") for path in missing
        ]
        if not missing:
            name = relative_name(image, table.root)
            pair = Pair(
                image,
                label,
                name,
                split=row.split,
                patient=row.patient,
                columns=row.columns,
            )
            pairs.append(pair)
    return PairsFound(table.root, tuple(pairs), problems=tuple(problems), classes=table.classes)


def _from_csv(text: str, root: Path, *, group_column: str | None) -> PairsFound:
    rows = list(_rows(text))
    if not rows or not set(_IMAGE) & rows[0].keys():
        raise LayoutError(
            f"expected a column {_IMAGE[0]!r} and a row a film, got "
            f"{', '.join(rows[0]) if rows else 'no rows'}",
            remedy=_REMEDY,
        )
    if group_column and group_column.casefold() not in rows[0]:
        raise LayoutError(
            f"expected the column {group_column!r}, got {', '.join(rows[0])}", remedy=_REMEDY
        )
    persons = (group_column.casefold(),) if group_column else _PERSON
    below = _by_stem(root)
    times = Counter(_value(row, _IMAGE) for row in rows)
    pairs, problems = [], []
    for row in rows:
        image = _value(row, _IMAGE)
        found = _pair(row, root, below=below, persons=persons)
        if times[image] > 1:
            found = f"it stands in {times[image]} rows"
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            problems.append(Problem(image, found))
    return PairsFound(root, tuple(pairs), problems=tuple(dict.fromkeys(problems)))


def _rows(text: str) -> Iterator[dict[str, str]]:
    """Rows with column names in lower case.

    Raises:
        LayoutError: If the table has a fault.
    """
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        for line in csv.DictReader(io.StringIO(text), delimiter=delimiter, restval=""):
            yield {key.strip().casefold(): value.strip() for key, value in line.items() if key}
    except csv.Error as error:
        raise LayoutError(
            f"expected a CSV list, got one with a fault: {error}", remedy=_REMEDY
        ) from None


def _value(row: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _pair(
    row: Mapping[str, str],
    root: Path,
    *,
    below: Mapping[str, list[Path]],
    persons: tuple[str, ...],
) -> Pair | str:
    """The pair of a row, or what is wrong with it."""
    named, label = _value(row, _IMAGE), _value(row, _LABEL)
    split = row.get("split", "").casefold()
    if split and split not in SPLIT_OF_NAME:
        return f"expected train, val or test as its split, got {split!r}"
    image = _image(named, root, below)
    if image is None:
        return "expected one film of this name, got none or several"
    masks = _masks(label, image, root, below=below)
    if len(masks) != 1:
        return f"expected one place of masks, got {len(masks)}"
    person = _value(row, persons) or _folder_of_person(image, root)
    return Pair(
        image=image,
        label=masks[0],
        name=relative_name(image, root),
        split=SPLIT_OF_NAME[split] if split else None,
        patient=pseudonym(person) if person else None,
        fold=row.get("fold") or None,
        columns={
            key: value
            for key, value in row.items()
            if key not in {*_USED, *persons} and not is_identifying(key)
        },
    )


def _image(named: str, root: Path, below: Mapping[str, list[Path]]) -> Path | None:
    """The film of a name: a path, or a bare name with or without suffix, of one film below."""
    if (root / named).is_file():
        return root / named
    films = [
        path
        for path in below.get(_stem(Path(named)) if Path(named).suffix else named, ())
        if path.name == named or (path.stem == named and path.is_file())
        if not _MASK_FOLDERS.intersection(path.relative_to(root).parts)
        if path.suffix.lower() != ".json"
    ]
    return films[0] if len(films) == 1 else None


def _masks(label: str, image: Path, root: Path, *, below: Mapping[str, list[Path]]) -> list[Path]:
    """Where the masks of a film may be: as the row says, or by the film's name."""
    if label:
        named = root / label
        if named.exists():
            return [named]
        return [path for path in below.get(_stem(named), ()) if path.name == named.name]
    return [
        path
        for path in below.get(image.stem, ())
        if path != image and (path.is_dir() or path.name.lower().endswith(MASK_SUFFIXES))
    ]


def _folder_of_person(image: Path, root: Path) -> str:
    """The folder of a film, where films lie in folders by person; empty elsewhere."""
    parts = image.relative_to(root).parts[:-1] if image.is_relative_to(root) else ()
    for films, _ in FOLDERS:
        if films in parts[:-1]:
            return parts[parts.index(films) + 1]
    return ""


def _stem(path: Path) -> str:
    return path.name[: -len(".nii.gz")] if path.name.endswith(".nii.gz") else path.stem


def _by_stem(root: Path) -> dict[str, list[Path]]:
    """Everything below a folder, by its name without suffix."""
    below: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(root.rglob("*")):
        below[path.name if path.is_dir() else _stem(path)].append(path)
    return below
