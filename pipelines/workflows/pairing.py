"""Finished runs are read film by film, to be compared with each other on the same films."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import ConfigurationError
from pipelines.evaluation.paired import PairedDifference, compare_pairs
from pipelines.evaluation.recorded import paired_run, read_films
from pipelines.files import read_json_object
from pipelines.table_cells import table_filename
from pipelines.workflows.finished_run import METRICS, FinishedRun

logger = logging.getLogger(__name__)

_DATALIST = "datalist.json"
_SPLITS = ("training", "validation", "test")


def pair_runs(runs: Sequence[FinishedRun]) -> list[PairedDifference]:
    """Compare runs on the films that they share, patient by patient.

    Patients are those of the first run's `datalist.json`; a film that it does not hold is taken as
    a patient of its own.

    Args:
        runs: Of the same films.

    Returns:
        The differences; none where there are fewer than two runs, or their tables cannot be read.
    """
    if len(runs) < 2:  # noqa: PLR2004 - a pair
        return []
    try:
        films = [read_films(run.folder) for run in runs]
        names = list(films[0])
        made = [
            paired_run(
                run.row.name, [each[name] for name in names], read_json_object(run.folder / METRICS)
            )
            for run, each in zip(runs, films, strict=True)
        ]
    except ConfigurationError as error:
        logger.warning("not compared film by film: %s", error)
        return []
    patients = patients_of(runs[0].folder / _DATALIST)
    unknown = sum(name not in patients for name in names)
    if unknown:
        logger.warning("%d films tell no patient: each is taken as one of its own", unknown)
    return compare_pairs(made, [patients.get(name, name) for name in names])


def patients_of(datalist: Path) -> dict[str, str]:
    """Return the patient's pseudonym of each film, by its name as tables have it.

    Args:
        datalist: The `datalist.json` of a run; nothing is returned where it cannot be read.
    """
    content = read_json_object(datalist)
    items = [item for key in _SPLITS for item in content.get(key, ())]
    return {table_filename(str(item["image"])): str(item["group"]) for item in items}
