"""What a training run ends with, and what an evaluation is: figures, pictures, weights."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import DatasetError, Reason
from pipelines.evaluation.cases import Cases, require_outputs
from pipelines.evaluation.choice import choose_operating_point, give_threshold
from pipelines.evaluation.class_info import write_class_info
from pipelines.evaluation.classification import format_table
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.point_rules import require_input_size
from pipelines.evaluation.report_files import write_evaluation
from pipelines.evaluation.thresholds import Criterion
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.ranks import ranks
from pipelines.transforms.shifts import Choice, Setting, settings_of
from pipelines.workflows.ending import SPLIT_NAMES, Ending
from pipelines.workflows.shifted import shifted_cases
from pipelines.workflows.worst_cases import explain_worst

logger = logging.getLogger(__name__)


class Outcome(Ending):
    """Turns a trained or loaded network into the files that a run leaves.

    Args:
        output_dir: Folder of the run.
        evaluator: Runs the network over the films of `split`.
        dataset: The data set of the run.
        split: Which films the evaluator runs over: `val` after training.
        train_dataset: Training films, on which a guard is fitted; None fits none.
        weights: The weights that are evaluated; their operating point stands beside them.
        criterion: How the threshold is chosen after training; `argmax` takes none.
        target: What the criterion shall reach.
        positive_classes: Those of three classes or more that a threshold is put on together and
            that have figures of their own; of two classes it is the second.
        threshold: What given weights are evaluated with in place of their own; None uses that.
        shifts: Shifts of the films' look; the operating point is chosen on the validation films and
            their shifted copies, see `pipelines.transforms.shifts.settings_of`.
        preprocessing: What `class_info.json` says of the network's input besides its size.
        subgroups: Columns of the data that figures are told by, see `Ending`.
        report: Whether `report.html` is drawn.
        worst: How many films of an evaluation, the most wrong first, are explained by Grad-CAM.
        seed: Seed of the bootstrap intervals.
    """

    def __init__(  # noqa: PLR0913 - what a configuration sets
        self,
        output_dir: str | Path,
        *,
        evaluator: RadiographEvaluator,
        dataset: OpenedDataset,
        split: str,
        train_dataset: RadiographDataset | None = None,
        weights: str | Path | None = None,
        criterion: Criterion = "youden",
        target: float | None = None,
        positive_classes: Sequence[str] = (),
        threshold: float | None = None,
        shifts: Choice = False,
        preprocessing: Mapping[str, object] | None = None,
        subgroups: Sequence[str] | None = None,
        report: bool = True,
        worst: int = 12,
        seed: int = 0,
    ) -> None:
        super().__init__(
            output_dir,
            evaluator=evaluator,
            split=split,
            weights=weights,
            subgroups=subgroups,
            report=report,
        )
        self.dataset = dataset
        self.train_dataset = train_dataset
        self.criterion = criterion
        self.target = target
        self.positive_classes = tuple(positive_classes)
        self.threshold = threshold
        self.shifts = settings_of(shifts)
        self.worst = worst
        self.preprocessing = dict(preprocessing or {})
        self.seed = seed

    def check_settings(self) -> None:
        """Refuse training that could not be finished, before it begins.

        Raises:
            ConfigurationError: If criterion, target or classes are wrong.
            DatasetError: If a film cannot be read, or a split that is trained with lacks a class.
            RunError: If the network does not have the outputs that the classes ask for.
        """
        # Only on validation films is an operating point chosen.
        if self.split == "val":
            self.check_choice()
        self.subgroup_columns()
        self._require_every_class("train")
        self._require_every_class(self.split)
        self.films.read_all()
        self._require_outputs()

    def check_choice(self) -> None:
        """Refuse a choice of an operating point that could not be made, before films are predicted.

        Raises:
            ConfigurationError: If criterion, target or classes are wrong.
        """
        OperatingPoint(
            threshold=None if self.criterion == "argmax" else 0.5,
            temperature=1.0,
            classes=self.dataset.classes,
            criterion=self.criterion,
            split=self.split_name,
            target=self.target,
            positive_classes=self.positive_classes,
        )

    def check_evaluation(self) -> None:
        """Refuse an evaluation that could not be finished, before it begins.

        Raises:
            ConfigurationError: If the operating point beside the weights is missing, or the films
                have another size than those that the weights saw in training.
            DatasetError: If a film cannot be read.
            RunError: If no weights were named, or the network does not have the outputs that the
                classes ask for.
        """
        point = self.given_point()
        self.subgroup_columns()
        self.films.read_all()
        require_input_size(point.input_size, self._film.shape)
        self._require_outputs()

    def finish(self) -> None:
        """End a training run.

        The best epoch's weights become `model.pt`; the operating point is chosen on the validation
        films with these very weights, and the figures are those films'. Of several processes all
        predict, and the first one does the rest.

        Raises:
            RunError: If no epoch was completed.
        """
        self.keep_best_weights()
        cases = self.cases()
        if not ranks().is_main:
            return
        point = self.choose_point(cases, shifted_cases(self.evaluator, cases, self.shifts))
        point.save(self.folder / "operating_point.json")
        self.remember_films(self.dataset)
        self.fit_guard(self.train_dataset)
        self.draw_curves()
        self.write(cases, point, self.folder / "model.pt")
        self.draw_report("training run", cases.filenames)

    def evaluate(self) -> None:
        """Evaluate given weights with the operating point that ships with them.

        Raises:
            RunError: If no weights were named.
        """
        cases, point = self.cases(), self.given_point()
        if not ranks().is_main:
            return
        self.write(cases, point, self.given_weights())
        explain_worst(
            self.folder,
            cases,
            point,
            films=self.films,
            network=self.evaluator.network,
            count=self.worst,
        )
        self.draw_report("evaluation", cases.filenames)

    def choose(self) -> None:
        """Choose the operating point of given weights, put it beside them, and evaluate with it.

        Raises:
            RunError: If no weights were named.
        """
        cases = self.cases()
        if not ranks().is_main:
            return
        point = self.choose_point(cases, shifted_cases(self.evaluator, cases, self.shifts))
        point.save(self.given_weights().parent / "operating_point.json")
        self.write(cases, point, self.given_weights())

    def given_point(self) -> OperatingPoint:
        """Return the operating point of the given weights, with the threshold that was asked for.

        Raises:
            RunError: If no weights were named.
        """
        return give_threshold(OperatingPoint.beside(self.given_weights()), self.threshold)

    def choose_point(self, cases: Cases, shifted: Mapping[Setting, Cases]) -> OperatingPoint:
        """Choose the operating point by the criterion of the run.

        Args:
            cases: Validation films.
            shifted: The same films under shifts, or nothing.
        """
        point = choose_operating_point(
            cases,
            criterion=self.criterion,
            target=self.target,
            positive_classes=self.positive_classes,
            split=self.split_name,
            seed=self.seed,
            shifted={str(setting): each for setting, each in shifted.items()},
        )
        channels, height, width = self._film.shape
        return replace(point, input_size=(channels, height, width))

    def _require_every_class(self, split: str) -> None:
        items: Sequence[dict[str, Any]] = self.dataset.split(split)  # type: ignore[arg-type]
        counts = Counter(int(item["label"]) for item in items)
        classes = self.dataset.classes
        if any(not counts[index] for index in range(len(classes))):
            held = ", ".join(f"{counts[index]} {name}" for index, name in enumerate(classes))
            raise DatasetError(
                Reason.DATASET_LAYOUT,
                f"expected {SPLIT_NAMES[split]} films of every class, got {held}; "
                "add films of that class, or name only classes that have some",
            )

    def _require_outputs(self) -> None:
        network = self.evaluator.network.eval()
        with torch.inference_mode():
            outputs = self.evaluator.inferer(self._film[None].to(self.device), network)
        require_outputs(outputs.numel(), len(self.dataset.classes))

    @cached_property
    def _film(self) -> torch.Tensor:
        """The first film as the network takes it."""
        film: torch.Tensor = self.evaluator.data_loader.dataset[0]["image"]
        return film

    def cases(self) -> Cases:
        """Run the network over the films of the split; every process has those of all."""
        self.evaluator.run()
        items: Sequence[dict[str, Any]] = self.dataset.split(self.split)  # type: ignore[arg-type]
        return Cases.of(
            [self.dataset.datalist.name_of(item) for item in items],
            [str(item["group"]) for item in items],
            labels=self.evaluator.labels,
            logits=self.evaluator.logits,
            classes=self.dataset.classes,
        )

    def write(self, cases: Cases, point: OperatingPoint, weights: Path) -> None:
        """Write figures, tables and pictures of cases at an operating point.

        Args:
            cases: The cases.
            point: Of the weights.
            weights: The file of weights that the cases' logits are of.
        """
        size = dict(zip(("channels", "height", "width"), self._film.shape, strict=True))
        write_class_info(
            self.folder / "class_info.json", point, preprocessing={**size, **self.preprocessing}
        )
        split = self.split_name
        evaluation = write_evaluation(
            self.folder, cases, point, split=split, facts=self.facts(weights), seed=self.seed
        )
        logger.info("%s", format_table(evaluation))
        logger.info("Figures, tables and pictures: %s", self.folder)
