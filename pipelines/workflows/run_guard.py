"""The guard of a run, fitted on its own films when training has ended."""

import logging
from pathlib import Path

from pipelines.errors import DatasetError
from pipelines.evaluation.guard import FILE_NAME
from pipelines.evaluation.guard_fit import fit_and_save_guard
from pipelines.training.dataset import RadiographDataset

logger = logging.getLogger(__name__)


def fit_guard_of_run(train: RadiographDataset, val: RadiographDataset, *, folder: Path) -> None:
    """Write `guard.npz` into a run folder; too few films leave the run without one, and a warning.

    Args:
        train: Training films.
        val: Validation films, on which its limit is set.
        folder: Folder of the run.
    """
    try:
        fit_and_save_guard(train, val, folder / FILE_NAME)
    except DatasetError as error:
        logger.warning("No guard against films that do not belong: %s", error)
