"""One labelled film on its way from a folder or a table into a datalist."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, Unpack

from pipelines.datasets.pseudonyms import pseudonym
from pipelines.errors import DatasetError, InputError, Reason
from pipelines.ingest.sniff import FileFormat, sniff

Split: TypeAlias = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

SPLIT_OF_NAME: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "valset": "val",
    "test": "test",
    "testing": "test",
    "testset": "test",
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
        header_patient: Pseudonym from the file's header; None when it tells no patient.
        split: The split that the layout or the table puts it in; None when it names none.
        patient: What a column says whose film it is; None when there is no such column.
        folder: Sub-folder of the class folder in which the film lies; empty when there is none.
        columns: Further columns of the table, and traits of a DICOM header.
    """

    path: Path
    name: str
    label: int
    file_format: FileFormat
    header_patient: str | None = None
    split: Split | None = None
    patient: str | None = None
    folder: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


class KnownOfFilm(TypedDict, total=False):
    """What a layout or a table tells of a film besides its label; keys as in `LabelledFilm`."""

    split: Split | None
    patient: str | None
    folder: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InspectedFilm:
    """What a file tells without its pixels.

    Attributes:
        file_format: Told from the content.
        patient: Pseudonym for the PatientID of a DICOM header, for the StudyInstanceUID where that
            is empty; None when the file tells neither.
        traits: What the header tells that identifies nobody, see `traits.traits_of_header`.
    """

    file_format: FileFormat
    patient: str | None
    traits: Mapping[str, str] = field(default_factory=dict)


def inspect_film(path: Path) -> InspectedFilm:
    """Tell format and patient of a file.

    Raises:
        InputError: If the file is no film, or its DICOM header cannot be read.
    """
    file_format = sniff(path)
    if file_format is not FileFormat.DICOM:
        return InspectedFilm(file_format, None)
    # The reader is loaded for data sets that hold DICOM only: it takes long to import.
    from pipelines.datasets.traits import traits_of_header
    from pipelines.ingest.read import read_header

    header = read_header(path)
    if header is None:
        return InspectedFilm(file_format, None)
    identifier = header.identity.patient_id.strip() or header.identity.study_instance_uid
    return InspectedFilm(
        file_format,
        pseudonym(identifier) if identifier else None,
        traits=traits_of_header(header.attributes),
    )


def is_image(path: Path) -> bool:
    """Whether a file looks like an image that can be read."""
    try:
        sniff(path)
    except InputError:
        return False
    return True


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


@dataclass(frozen=True, slots=True)
class FilmsFound:
    """What a folder or a table holds, before it is split.

    Attributes:
        root: The data set's folder.
        classes: Names, in the order of the labels.
        films: In stable order, by name.
        notes: What a user should know, a sentence each.
        left_out: Names of files that are no images.
        empty: Names of class folders without images.
    """

    root: Path
    classes: tuple[str, ...]
    films: tuple[LabelledFilm, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


class FilmGathering:
    """Films as they are found, and what was left out on the way.

    Args:
        root: The data set's folder.
        classes: Names, in the order of the labels.
    """

    def __init__(self, root: Path, classes: Sequence[str]) -> None:
        self._root = root
        self._classes = tuple(classes)
        self._films: list[LabelledFilm] = []
        self._left_out: dict[str, Reason] = {}

    def add(self, path: Path, *, label: int, **known: Unpack[KnownOfFilm]) -> None:
        """Add a film; a file that is none is left out and counted."""
        name = relative_name(path, self._root)
        try:
            inspected = inspect_film(path)
        except InputError as refusal:
            self._left_out[name] = refusal.reason
            return
        known["columns"] = {**inspected.traits, **known.get("columns", {})}
        film = LabelledFilm(
            path=path.absolute(),
            name=name,
            label=label,
            file_format=inspected.file_format,
            header_patient=inspected.patient,
            **known,
        )
        self._films.append(film)

    def found(self) -> FilmsFound:
        """Give all films, by name, and say what was left out."""
        films = tuple(sorted(self._films, key=lambda film: film.name))
        return FilmsFound(
            self._root,
            self._classes,
            films=films,
            notes=self._note(),
            left_out=tuple(sorted(self._left_out)),
        )

    def _note(self) -> tuple[str, ...]:
        if not self._left_out:
            return ()
        counts = Counter(self._left_out.values())
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        example = min(self._left_out)
        return (f"{len(self._left_out)} files left out ({listed}), such as {example}",)


def relative_name(path: Path, root: Path) -> str:
    """Path below the root; the bare name for files elsewhere, as messages show no foreign paths."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
