"""Whose film is it? Films of one patient must never stand on two sides of a split.

In this order: the column of the table; the PatientID of a DICOM header (the study where it is
empty); rules for the file names of public sets; the sub-folder of the class folder; else every
film stands for itself.

The names of Kermany et al. (2018) need care. `person12_bacteria_45` and `person12_virus_9` count
as one patient, and so do `IM-0115-0001` and `NORMAL2-IM-0115-0001`: that is safe when a split is
made. But numbers run apart for each kind of film (film 1 is `person1_bacteria_1`, while the
virus films of the training folder start with `person80_virus_150`), and the official test split
has patients whose numbers occur, with the other kind, in the training split. So two given splits
share a patient only when number and kind agree, and test films carry the kind in their group.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipelines.datasets.films import LabelledFilm
from pipelines.datasets.pseudonyms import pseudonym
from pipelines.ingest.sniff import FileFormat

_NAME_RULES = (
    re.compile(r"(?P<patient>person\d+)_(?P<kind>bacteria|virus)_\d+"),
    re.compile(r"(?:(?P<kind>NORMAL2)-)?(?P<patient>IM-\d+)-\d+"),
    # NIH ChestX-ray14: eight digits for the patient, then the number of the follow-up.
    re.compile(r"(?P<patient>\d{8})_(?P<kind>)\d{3}(?!\d)"),
)


@dataclass(frozen=True, slots=True, order=True)
class Patient:
    """Whose film it is, by a pseudonym.

    Attributes:
        group: Films with equal groups are never split.
        precise: Equal for two films only when they are the same patient beyond doubt; differs from
            `group` for file names of public sets alone.
        known: False when nothing tells the patient and the film stands for itself.
    """

    group: str
    precise: str
    known: bool = True


def patient_from_name(name: str) -> Patient | None:
    """Tell the patient from a file name of a public set; None when no rule fits.

    Examples:
        >>> patient_from_name("person12_bacteria_45.jpeg")
        Patient(group='person12', precise='bacteria:person12', known=True)
        >>> patient_from_name("NORMAL2-IM-0115-0001.jpeg").group
        'IM-0115'
        >>> patient_from_name("film.png") is None
        True
    """
    for rule in _NAME_RULES:
        if match := rule.match(name):
            kind = match["kind"]
            return Patient(match["patient"], f"{kind or 'normal'}:{match['patient']}")
    return None


def find_patients(films: Iterable[LabelledFilm]) -> tuple[Patient, ...]:
    """Tell whose each film is; one answer a film, in the same order."""
    return tuple(_find_patient(film) for film in films)


def tie_groups(
    groups: Sequence[str],
    same: Iterable[Sequence[int]],
    *,
    order: Callable[[str], int] | None = None,
) -> tuple[str, ...]:
    """Join groups that share something else, such as a copy of one file.

    Args:
        groups: Group of each film.
        same: Sets of indices of films that must stay together.
        order: What the names are ordered by; by themselves without it.

    Returns:
        A name for each film; equal for films of groups that are tied, however indirectly: the
        first of their names.

    Examples:
        >>> tie_groups(["a", "b", "c"], [(0, 2)])
        ('a', 'b', 'a')
    """
    parent = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    for indices in same:
        roots = sorted({root(groups[index]) for index in indices}, key=order)
        parent.update(dict.fromkeys(roots, roots[0]))
    return tuple(root(group) for group in groups)


def _find_patient(film: LabelledFilm) -> Patient:
    if film.patient is not None:
        return _alone(film.patient)
    if film.file_format is FileFormat.DICOM:
        # Not by name: exports call films of any patient IM-0001-0001.
        return _alone(film.header_patient) if film.header_patient else _unknown(film)
    named = patient_from_name(PurePosixPath(film.name).name)
    if named is not None:
        return named
    if film.folder:
        return _alone(pseudonym(film.folder))
    return _unknown(film)


def _alone(group: str) -> Patient:
    return Patient(group, group)


def _unknown(film: LabelledFilm) -> Patient:
    name = str(PurePosixPath(film.name).with_suffix(""))
    return Patient(name, name, known=False)
