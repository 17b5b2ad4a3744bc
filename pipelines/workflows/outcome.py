"""What a training run ends with, and what an evaluation is: figures, pictures, weights."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.choice import choose_operating_point
from pipelines.evaluation.classification import format_table
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.report_files import write_evaluation
from pipelines.evaluation.thresholds import Criterion
from pipelines.evaluation.training_curves import draw_training_curves
from pipelines.networks.weights import load_weights, save_weights
from pipelines.training.evaluator import RadiographEvaluator

logger = logging.getLogger(__name__)

_CLASSES = 2
_SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test", "all": "all"}


class Outcome:
    """Turns a trained or loaded network into the files that a run leaves.

    Args:
        output_dir: Folder of the run.
        evaluator: Runs the network over the films of `split`.
        dataset: The data set of the run.
        split: Which films the evaluator runs over: `val` after training.
        weights: The weights that are evaluated; their operating point stands beside them.
        criterion: How the threshold is chosen after training.
        target: What the criterion shall reach.
        seed: Seed of the bootstrap intervals.
    """

    def __init__(
        self,
        output_dir: str | Path,
        *,
        evaluator: RadiographEvaluator,
        dataset: OpenedDataset,
        split: str,
        weights: str | Path | None = None,
        criterion: Criterion = "youden",
        target: float | None = None,
        seed: int = 0,
    ) -> None:
        self.folder = Path(output_dir)
        self.evaluator = evaluator
        self.dataset = dataset
        self.split = split
        self.weights = None if weights is None else Path(weights)
        self.criterion = criterion
        self.target = target
        self.seed = seed

    def check_settings(self) -> None:
        """Refuse what could not be finished, before anything is read or trained.

        Raises:
            ConfigurationError: If criterion, target or classes are wrong, or the operating point
                beside given weights is missing.
        """
        if len(self.dataset.classes) != _CLASSES:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected two classes for a network with one logit, got "
                f"{len(self.dataset.classes)}; set classes to the negative and the positive one",
            )
        OperatingPoint(
            threshold=0.5,
            temperature=1.0,
            classes=self.dataset.classes,
            criterion=self.criterion,
            split=_SPLIT_NAMES[self.split],
            target=self.target,
        )
        if self.weights is not None:
            OperatingPoint.beside(self.weights)

    def finish(self) -> None:
        """End a training run.

        The best epoch's weights become `model.pt`; the operating point is chosen on the validation
        films with these very weights, and the figures are those films'.

        Raises:
            RunError: If no epoch was completed.
        """
        best = self.folder / "checkpoints" / "best.pt"
        if not best.is_file():
            raise RunError(
                Reason.WEIGHTS_MISSING,
                "expected a best checkpoint at the end of training, got none; "
                "train for at least one epoch",
            )
        network = load_weights(self.evaluator.network, best, device=self._device)
        save_weights(network, self.folder / "model.pt")
        # Read back, so that the figures are those of the half-precision weights that are shipped.
        load_weights(network, self.folder / "model.pt", device=self._device)
        cases = self._cases()
        point = choose_operating_point(
            cases,
            criterion=self.criterion,
            target=self.target,
            split=_SPLIT_NAMES[self.split],
            seed=self.seed,
        )
        point.save(self.folder / "operating_point.json")
        draw_training_curves(self.folder / "curves.png", self.folder / "log.csv")
        self._write(cases, point)
        logger.info("Curves: tensorboard --logdir %s", self.folder)

    def evaluate(self) -> None:
        """Evaluate given weights with the operating point that ships with them.

        Raises:
            RunError: If no weights were named.
        """
        if self.weights is None:
            raise RunError(
                Reason.WEIGHTS_MISSING, "expected weights to evaluate, got none; set weights=FILE"
            )
        point = OperatingPoint.beside(self.weights)
        self._write(self._cases(), point)

    @property
    def _device(self) -> torch.device:
        device: torch.device = self.evaluator.state.device
        return device

    def _cases(self) -> Cases:
        self.evaluator.run()
        items: Sequence[dict[str, Any]] = self.dataset.split(self.split)  # type: ignore[arg-type]
        return Cases.of(
            [self.dataset.datalist.name_of(item) for item in items],
            [str(item["group"]) for item in items],
            labels=self.evaluator.labels,
            logits=self.evaluator.logits,
            classes=self.dataset.classes,
        )

    def _write(self, cases: Cases, point: OperatingPoint) -> None:
        split = _SPLIT_NAMES[self.split]
        evaluation = write_evaluation(self.folder, cases, point, split=split, seed=self.seed)
        logger.info("%s", format_table(evaluation))
        logger.info("Figures, tables and pictures: %s", self.folder)
