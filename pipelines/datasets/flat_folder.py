"""A flat folder of films without labels: `data/images/*.png`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.datasets.films import FilmGathering, FilmsFound, LayoutError, is_image


def is_flat(directory: Path) -> bool:
    """Whether a folder has films itself or in one single sub-folder, and nowhere else.

    So `data/images/*.png` is flat whether `data` or `data/images` is given, and class folders,
    which are two or more, are not.

    Args:
        directory: The folder.
    """
    folder = directory
    while not any(is_image(path) for path in _visible(folder) if path.is_file()):
        below = [path for path in _visible(folder) if path.is_dir()]
        if len(below) != 1:
            return False
        folder = below[0]
    return not any(
        is_image(path)
        for below in _visible(folder)
        if below.is_dir()
        for path in below.rglob("*")
        if path.is_file()
    )


def find_flat_films(directory: Path, *, classes: Sequence[str]) -> FilmsFound:
    """Read a flat folder; every film gets label 0.

    Args:
        directory: The folder, or the one that it lies in.
        classes: Class names of the data set; the first one is that of these films.

    Returns:
        The films, by name.

    Raises:
        LayoutError: If the folder holds no film.
    """
    gathering = FilmGathering(directory, classes)
    for path in sorted(directory.rglob("*")):
        hidden = any(_is_hidden(part) for part in path.relative_to(directory).parts)
        if path.is_file() and not hidden:
            gathering.add(path, label=0)
    found = gathering.found()
    if not found.films:
        raise LayoutError(
            "expected films in the folder, got none",
            remedy="give the folder that holds the images",
        )
    return found


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if not _is_hidden(path.name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
