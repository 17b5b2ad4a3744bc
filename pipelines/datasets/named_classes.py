"""Class names in the names of files: they must not contradict the label."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from pipelines.datasets.films import FilmsFound, LayoutError

_SHORTEST_NAME = 3
"""Letters of a class name that is looked for: `A` and `1` stand in names for other reasons."""


def classes_in_name(name: str, classes: Sequence[str]) -> tuple[int, ...]:
    """Find the classes that a file name spells out as whole words.

    Longer names count first, so that `not fractured 12` names one class and not two.

    Args:
        name: Path or name of a file.
        classes: Class names, in the order of their labels.

    Returns:
        Their labels, ascending.

    Examples:
        >>> classes_in_name("train/x/not-fractured (2).png", ["fractured", "not fractured"])
        (1,)
        >>> classes_in_name("benign_malignant_7.jpg", ["benign", "malignant"])
        (0, 1)
    """
    left = f" {_words(PurePosixPath(name).stem)} "
    found = []
    for label in sorted(range(len(classes)), key=lambda label: -len(classes[label])):
        words = f" {_words(classes[label])} "
        if sum(map(str.isalpha, words)) >= _SHORTEST_NAME and words in left:
            found.append(label)
            left = left.replace(words, "  ")
    return tuple(sorted(found))


def refuse_contradicting_names(found: FilmsFound) -> None:
    """Refuse files whose names spell out another class than the one that they have.

    Raises:
        LayoutError: With the files and the classes in their names.
    """
    contradicting = []
    for film in found.films:
        named = classes_in_name(film.name, found.classes)
        if set(named) - {film.label}:
            listed = " and ".join(found.classes[label] for label in named)
            contradicting.append(f"{film.name}: {listed}, labelled {found.classes[film.label]}")
    if contradicting:
        raise LayoutError(
            "expected no class but a film's own in its file name, "
            f"got {len(contradicting)} that name another",
            contradicting,
            remedy="move them to the right class, or rename them",
        )


def _words(text: str) -> str:
    """The words of a name in lower case, one space between them."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))
