"""A folder of class folders becomes labelled films, with or without split folders above them.

Layouts, names in any case:

- `train|val|test/{NORMAL,PNEUMONIA}`: the chest X-ray set as downloaded, also when it lies one or
  two folders deeper (`archive/chest_xray/train/…`). Splits may be missing.
- `{class}/…`: any tree without split folders; splits are made later.

Everything below a class folder belongs to its class. Hidden files and `__MACOSX` are passed over.
Images anywhere else are refused: nothing says whether they are for training or for testing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.datasets.films import (
    SPLIT_OF_NAME,
    SPLITS,
    FilmGathering,
    FilmsFound,
    LayoutError,
    Split,
    class_key,
    is_image,
    relative_name,
)
from pipelines.nearest import did_you_mean

_MAXIMUM_DEPTH = 3
_MINIMUM_CLASSES = 2


@dataclass(frozen=True, slots=True)
class _ClassFolder:
    """One class folder: `train/NORMAL` has the split `train`."""

    path: Path
    split: Split | None


def find_class_folders(
    directory: Path, *, classes: Sequence[str] | None = None, allow_gaps: bool = False
) -> FilmsFound:
    """Read a tree of class folders.

    Args:
        directory: The data set's folder.
        classes: Class names in the order of their labels; folders must have these names, whatever
            their case. Without them every class folder is a class, in alphabetical order.
        allow_gaps: Take splits that lack a class, and a single class.

    Returns:
        The films, by name; the class folder gives the label, the folder above it the split.

    Raises:
        LayoutError: If the tree has no class folders, a class is unknown, missing
            in one split or empty, or images lie outside of the class folders.
    """
    root = _dataset_root(directory, classes=classes)
    splits = _split_folders(root)
    candidates = [
        _ClassFolder(path, split)
        for split, parent in splits.items()
        for path in _subfolders(parent)
    ]
    folders = [folder for folder in candidates if any(_images(folder.path))]
    empty = [
        folder.path.relative_to(root).as_posix() for folder in candidates if folder not in folders
    ]
    _refuse_stray_images(root, parents=splits.values())
    _refuse_images_elsewhere(directory, root=root, splits=splits)
    fewest = 1 if allow_gaps else _MINIMUM_CLASSES
    names = tuple(classes) if classes else _class_names(folders, fewest=fewest)
    labels = {class_key(name): label for label, name in enumerate(names)}
    _check_classes(folders, names=names, root=root)
    if not allow_gaps:
        _check_complete(folders, splits=splits, names=names)
    gathering = FilmGathering(root, names)
    for folder in folders:
        label = labels[class_key(folder.path.name)]
        for path in _files(folder.path):
            within = path.parent.relative_to(folder.path)
            gathering.add(
                path,
                label=label,
                split=folder.split,
                folder="" if within == Path() else within.as_posix(),
            )
    return replace(gathering.found(), empty=tuple(empty))


def _dataset_root(directory: Path, *, classes: Sequence[str] | None) -> Path:
    """Go down to where the split or class folders are, past folders that hold but one folder."""
    wanted = {class_key(name) for name in classes or ()}
    for _ in range(_MAXIMUM_DEPTH):
        folders = _subfolders(directory)
        if len(folders) != 1 or folders[0].name.casefold() in SPLIT_OF_NAME:
            return directory
        if class_key(folders[0].name) in wanted or not _subfolders(folders[0]):
            return directory
        directory = folders[0]
    return directory


def _split_folders(root: Path) -> dict[Split | None, Path]:
    """The folder of every split; the root itself under None when there is none.

    Raises:
        LayoutError: If one split has two folders, such as `val` and `valid`.
    """
    splits: dict[Split | None, Path] = {}
    for folder in _subfolders(root):
        split = SPLIT_OF_NAME.get(folder.name.casefold())
        if split is None:
            continue
        if split in splits:
            raise LayoutError(
                f"expected one folder for the split {split!r}, got two",
                [splits[split].name, folder.name],
                remedy="merge them",
            )
        splits[split] = folder
    return splits or {None: root}


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_hidden(path.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(_is_hidden(part) for part in parts):
            yield path


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in _files(folder) if is_image(path))


def _class_names(folders: Sequence[_ClassFolder], *, fewest: int) -> tuple[str, ...]:
    """Names as the folders have them, one for each class.

    Raises:
        LayoutError: If there are too few.
    """
    names: dict[str, str] = {}
    for folder in folders:
        names.setdefault(class_key(folder.path.name), folder.path.name)
    if len(names) < fewest:
        raise LayoutError(
            f"expected at least two folders with images, one a class, got {len(names)}",
            names.values(),
            remedy="give the folder that holds the class folders, such as NORMAL and PNEUMONIA, "
            "or a datalist file",
        )
    return tuple(sorted(names.values(), key=str.casefold))


def _check_classes(folders: Sequence[_ClassFolder], *, names: Sequence[str], root: Path) -> None:
    """Refuse folders with images whose name is no class.

    Raises:
        LayoutError: With the nearest right name of each.
    """
    known = {class_key(name) for name in names}
    unknown = [
        folder.path.relative_to(root).as_posix()
        + did_you_mean(folder.path.name, names if folder.split else [*names, *SPLITS])
        for folder in folders
        if class_key(folder.path.name) not in known
    ]
    if unknown:
        raise LayoutError(
            f"expected folders of the classes {', '.join(names)}, got {len(unknown)} others",
            unknown,
            remedy="rename or remove them",
        )


def _check_complete(
    folders: Sequence[_ClassFolder],
    *,
    splits: Mapping[Split | None, Path],
    names: Sequence[str],
) -> None:
    """Refuse a split that lacks a class.

    Raises:
        LayoutError: With each class folder that is missing or holds no image.
    """
    present = {(folder.split, class_key(folder.path.name)) for folder in folders}
    missing = [
        f"{parent.name}/{name}" if split else name
        for split, parent in splits.items()
        for name in names
        if (split, class_key(name)) not in present
    ]
    if missing:
        raise LayoutError(
            f"expected images of the classes {', '.join(names)} in every split, "
            f"got {len(missing)} class folders that are missing or without an image",
            missing,
            remedy="add the folders, or remove the split",
        )


def _refuse_stray_images(root: Path, *, parents: Iterable[Path]) -> None:
    """Refuse images beside the class folders: nothing says what class they are.

    Raises:
        LayoutError: With examples.
    """
    stray = [
        path.relative_to(root).as_posix()
        for parent in parents
        for path in parent.iterdir()
        if path.is_file() and not _is_hidden(path.name) and is_image(path)
    ]
    if stray:
        raise LayoutError(
            f"expected every image in a class folder, got {len(stray)} images without a label",
            stray,
            remedy="move them into class folders",
        )


def _refuse_images_elsewhere(
    directory: Path, *, root: Path, splits: Mapping[Split | None, Path]
) -> None:
    """Refuse images beside the split folders: they would vanish from training or testing.

    A second copy of the data set, such as `chest_xray/train` beside `train` in the public archive,
    is passed over: every image of it stands in the split folders too.

    Raises:
        LayoutError: With the number of images in each folder, and the nearest split.
    """
    above = [folder for folder in root.parents if folder.is_relative_to(directory)]
    elsewhere = [path for folder in above for path in folder.iterdir() if path.is_file()]
    if None not in splits:
        others = [folder for folder in _subfolders(root) if folder not in splits.values()]
        elsewhere += [path for path in root.iterdir() if path.is_file()]
        elsewhere += [path for folder in others for path in _files(folder)]
    places = Counter(
        _top_folder(path, root)
        for path in elsewhere
        if not _is_hidden(path.name) and is_image(path) and not _is_second_copy(path, root)
    )
    if places:
        beside = ", ".join(folder.name for folder in splits.values())
        raise LayoutError(
            f"expected every image in the folders {beside}, got {places.total()} elsewhere",
            [f"{place} ({count}){did_you_mean(place, SPLITS)}" for place, count in places.items()],
            remedy="rename the folders, or move the images away",
        )


def _top_folder(path: Path, root: Path) -> str:
    """The folder beside the split folders that an image lies in; its own name without one."""
    return relative_name(path, root).partition("/")[0]


def _is_second_copy(path: Path, root: Path) -> bool:
    if not path.is_relative_to(root):
        return False
    return root.joinpath(*path.relative_to(root).parts[1:]).is_file()
