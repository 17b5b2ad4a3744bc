"""One labelled film on its way from a folder or a table into a datalist."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pipelines.errors import DatasetError, InputError, Reason
from pipelines.ingest.sniff import FileFormat, sniff

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

SPLIT_OF_NAME: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What people call the splits, in lower case."""

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class LabelledFilm:
    """A film, its class and what is known about where it belongs.

    Attributes:
        path: The file.
        name: Path below the data set's folder, with forward slashes; it is what messages show.
        label: Index of the class.
        file_format: Format, told from the content.
        split: The split that the layout or the table puts it in; None when it names none.
        patient: What a column says whose film it is; None when there is no such column.
        folder: Sub-folder of the class folder in which the film lies; empty when there is none.
        columns: Further columns of the table.
    """

    path: Path
    name: str
    label: int
    file_format: FileFormat
    split: Split | None = None
    patient: str | None = None
    folder: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FilmsFound:
    """What a folder or a table holds, before it is split.

    Attributes:
        root: The data set's folder.
        classes: Names, in the order of the labels.
        films: In stable order, by name.
        notes: What a user should know, a sentence each.
    """

    root: Path
    classes: tuple[str, ...]
    films: tuple[LabelledFilm, ...]
    notes: tuple[str, ...] = ()


def image_format(path: Path) -> FileFormat | None:
    """Return the format of a file, or None when it is no image that can be read."""
    try:
        return sniff(path)
    except InputError:
        return None


def class_key(name: str) -> str:
    """Reduce a class name to what must agree: `Not fractured` and `not_fractured` are one class.

    Examples:
        >>> class_key("Not fractured") == class_key("not_fractured")
        True
    """
    return "".join(name.casefold().replace("_", " ").replace("-", " ").split())


class LayoutError(DatasetError):
    """A data set does not have the layout that was expected; its reason is DATASET_LAYOUT.

    The message has at most five lines: the rule, what was found, what to do, and examples.

    Args:
        rule: `expected …, got …`.
        examples: Everything that breaks the rule, as names below the data set's folder; the first
            three are shown, the rest counted.
        remedy: What to do.
    """

    def __init__(self, rule: str, examples: Iterable[str] = (), *, remedy: str) -> None:
        names = sorted(examples)
        lines = [f"{rule}; {remedy}", *(f"  {name}" for name in names[:_EXAMPLES])]
        if len(names) > _EXAMPLES:
            lines.append(f"  and {len(names) - _EXAMPLES} more")
        super().__init__(Reason.DATASET_LAYOUT, "\n".join(lines))


def left_out_note(names: Iterable[str]) -> tuple[str, ...]:
    """Say how many files are no images; nothing when there are none."""
    left_out = sorted(names)
    if not left_out:
        return ()
    return (f"{len(left_out)} files left out since they are no images, such as {left_out[0]}",)
