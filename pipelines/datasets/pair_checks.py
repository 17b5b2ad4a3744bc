"""Look into every film and every mask before they are used, and tell all that is wrong at once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

from pipelines.datasets.films import InspectedFilm, LayoutError, inspect_film, relative_name
from pipelines.datasets.pairs import Pair, PairsFound, Problem
from pipelines.errors import InputError
from pipelines.files import write_csv
from pipelines.ingest.annotations import inspect_annotation
from pipelines.ingest.size import read_size
from pipelines.progress import progress
from pipelines.table_cells import table_filename, table_name


@dataclass(frozen=True, slots=True)
class CheckedPair:
    """What was found in the files of a pair.

    Attributes:
        film: Format and patient of the film; None when it cannot be read.
        problems: What is wrong; empty for a pair that can be used.
    """

    film: InspectedFilm | None
    problems: tuple[Problem, ...]


def check_pairs(
    found: PairsFound,
    *,
    classes: Sequence[str],
    sides: bool = False,
    problems_file: Path | None = None,
) -> tuple[InspectedFilm, ...]:
    """Read the masks of every pair, and refuse them all together when any has a problem.

    Args:
        found: The pairs, with what was wrong with them already.
        classes: Names of the channels.
        sides: One mask shows two organs, see `load_layers`.
        problems_file: Where to write every problem, a row each, `file,problem`; only the first ones
            stand in the error.

    Returns:
        Format and patient of each film.

    Raises:
        LayoutError: With the first problems and their number.
    """
    with ThreadPoolExecutor(max_workers=cpu_count()) as readers:
        outcomes = readers.map(
            lambda pair: _check(pair, found.root, classes=classes, sides=sides), found.pairs
        )
        checked = list(progress(outcomes, "checking masks", total=len(found.pairs)))
    problems = [*found.problems, *(problem for each in checked for problem in each.problems)]
    if problems:
        where = ""
        if problems_file is not None:
            write_csv(
                problems_file,
                Problem._fields,
                (
                    {"file": table_filename(each.file), "problem": table_name(each.problem)}
                    for each in problems
                ),
            )
            where = f" (all are in {problems_file.name})"
        raise LayoutError(
            f"expected films with good masks, got {len(problems)} problems with "
            f"{len({each.file for each in problems})} files{where}",
            [f"{each.file}: {each.problem}" for each in problems],
            remedy="mend the files or take the films out",
        )
    return tuple(each.film for each in checked if each.film is not None)


def _check(pair: Pair, root: Path, *, classes: Sequence[str], sides: bool) -> CheckedPair:
    try:
        film, size = inspect_film(pair.image), read_size(pair.image)
    except InputError as refusal:
        return CheckedPair(None, (Problem(pair.name, str(refusal)),))
    file = relative_name(pair.label, root)
    said = _problems(pair.label, classes=classes, size=size, sides=sides)
    return CheckedPair(film, tuple(Problem(file, problem) for problem in said))


def _problems(
    label: Path, *, classes: Sequence[str], size: tuple[int, int], sides: bool
) -> Iterator[str]:
    if label.suffix.lower() == ".json":
        yield from inspect_annotation(label, classes=classes, size=size).problems
        return
    # MONAI is loaded for masks that are images only: it takes long to import.
    from pipelines.transforms.layers import load_layers

    try:
        load_layers(label, classes=classes, size=size, sides=sides)
    except InputError as refusal:
        yield str(refusal)
