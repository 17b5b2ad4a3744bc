"""What the ends of all runs share: the best weights, the guard, the curves."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from pipelines.datasets.opened import Opened
from pipelines.datasets.traits import columns_of
from pipelines.errors import DatasetError, Reason, RunError
from pipelines.evaluation.guard import EDGE_WEIGHT, FILE_NAME
from pipelines.evaluation.guard_fit import fit_and_save_guard
from pipelines.evaluation.trained_on import FILE_NAME as TRAINED_ON
from pipelines.evaluation.trained_on import SplitFacts, TrainedOn
from pipelines.evaluation.training_curves import draw_training_curves
from pipelines.networks.weights import load_weights, save_weights
from pipelines.progress import progress
from pipelines.reports.page import MOST_THUMBNAILS, draw_report
from pipelines.reports.thumbnails import encode, shrunk
from pipelines.table_cells import table_filename
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.ranks import ranks
from pipelines.training.replicas import share_state

logger = logging.getLogger(__name__)

SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test", "all": "all"}
"""Splits in words, by their short names."""


class Ending:
    """The end of a run, whatever its task.

    Args:
        output_dir: Folder of the run.
        evaluator: Runs the network over the films of `split`.
        split: Which films the evaluator has: `val` after training.
        weights: The weights that are evaluated; their operating point stands beside them.
        checkpoint_dir: Folder of the run's checkpoints; by default `checkpoints` in `output_dir`.
        subgroups: Columns of the data that figures are told by; None takes those that identify
            nobody and have 2 to 12 values, an empty list none.
        report: Whether `report.html` is drawn.
    """

    def __init__(
        self,
        output_dir: str | Path,
        *,
        evaluator: RadiographEvaluator,
        split: str,
        weights: str | Path | None,
        checkpoint_dir: str | Path | None = None,
        subgroups: Sequence[str] | None = None,
        report: bool = True,
    ) -> None:
        self.folder = Path(output_dir)
        self.evaluator = evaluator
        self.split = split
        self.weights = None if weights is None else Path(weights)
        self.checkpoints = Path(checkpoint_dir or self.folder / "checkpoints")
        self.subgroups = None if subgroups is None else tuple(subgroups)
        self.report = report

    @property
    def split_name(self) -> str:
        """The split in words."""
        return SPLIT_NAMES[self.split]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = self.evaluator.state.device
        return device

    @property
    def films(self) -> RadiographDataset:
        """The films that the evaluator has."""
        films: RadiographDataset = self.evaluator.data_loader.dataset
        return films

    def subgroup_columns(self) -> dict[str, list[str]]:
        """Return what subgroups are told by: a value for each film, by column.

        A named column that is not there, or that identifies people, is refused.
        """
        return columns_of(self.films.data, self.subgroups)

    def keep_best_weights(self, name: str = "model.pt") -> None:
        """Write the best epoch's weights, and let the evaluator have them, in every process.

        Args:
            name: Of the file in the folder of the run.

        Raises:
            RunError: If no epoch was completed.
        """
        if ranks().is_main:
            self._keep_best_weights(name)
        share_state(self.evaluator.network)

    def _keep_best_weights(self, name: str) -> None:
        best = self.checkpoints / "best.pt"
        if not best.is_file():
            raise RunError(
                Reason.WEIGHTS_MISSING,
                "expected a best checkpoint at the end of training, got none; "
                "train for at least one epoch",
            )
        network = load_weights(self.evaluator.network, best, device=self.device)
        save_weights(network, self.folder / name)
        # Read back, so that the figures are those of the half-precision weights that are shipped.
        load_weights(network, self.folder / name, device=self.device)

    def given_weights(self) -> Path:
        """Return the weights to evaluate.

        Raises:
            RunError: If none were named.
        """
        if self.weights is None:
            raise RunError(
                Reason.WEIGHTS_MISSING, "expected weights to evaluate, got none; set weights=FILE"
            )
        return self.weights

    def facts(self, weights: Path) -> SplitFacts:
        """Return what is known of the films that the evaluator has, and of weights.

        Args:
            weights: The weights that they are evaluated with.
        """
        films = [Path(item["image"]) for item in self.films.data]
        found = SplitFacts.of(weights, films, self.subgroup_columns())
        if found.seen is not None and found.seen.warning is not None:
            logger.warning("%s", found.seen.warning)
        return found

    def remember_films(self, dataset: Opened) -> None:
        """Write `trained_on.npz`: which films the weights of this run come from.

        Args:
            dataset: The data set of the run.
        """
        train, val = (
            [Path(item["image"]) for item in dataset.split(name)] for name in ("train", "val")
        )
        TrainedOn.of(train, val).save(self.folder / TRAINED_ON)

    def fit_guard(
        self, train: RadiographDataset | None, *, edge_weight: float = EDGE_WEIGHT
    ) -> None:
        """Write `guard.npz`; too few films leave the run without one, and a warning.

        Args:
            train: Training films; None fits no guard.
            edge_weight: Weight of edges against grey values, see `guard_fit.fit_guard`.
        """
        if train is None:
            return
        try:
            fit_and_save_guard(train, self.films, self.folder / FILE_NAME, edge_weight=edge_weight)
        except DatasetError as error:
            logger.warning("No guard against films that do not belong: %s", error)

    def draw_curves(self) -> None:
        """Draw `log.csv`, and say how to watch the run."""
        draw_training_curves(self.folder / "curves.png", self.folder / "log.csv")
        logger.info("Curves: tensorboard --logdir %s", self.folder)

    def draw_report(self, kind: str, names: Sequence[str]) -> None:
        """Gather all that stands in the folder on one page; where it cannot be, say so.

        Args:
            kind: What has been done.
            names: Name of each film of the evaluator, in its order.
        """
        if not self.report:
            return
        path = draw_report(
            self.folder,
            title=_bundle_name(self.folder),
            kind=f"{kind}, {self.split_name} films",
            thumbnails=lambda: self._thumbnails(names),
        )
        if path is not None:
            logger.info("Report: %s", path)

    def _thumbnails(self, names: Sequence[str]) -> dict[str, str]:
        shown = range(min(len(names), MOST_THUMBNAILS))
        films = self.films
        return {
            table_filename(names[place]): encode(shrunk(films[place]["image"]))
            for place in progress(shown, "drawing films")
        }


def _bundle_name(folder: Path) -> str:
    """The bundle of a run, as its configuration has it; of runs from Python the folder's name."""
    try:
        root = json.loads((folder / "config.json").read_text("utf-8"))["bundle_root"]
    except (OSError, ValueError, KeyError, TypeError):
        return folder.resolve().name
    return str(root.get("name", "")) if isinstance(root, dict) else Path(str(root)).resolve().name
