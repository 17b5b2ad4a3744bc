"""What the training of a segmentation ends with, and what its evaluation is."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipelines.datasets.opened_pairs import OpenedPairs
from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.refiner import Refiner
from pipelines.evaluation.regions import Mask
from pipelines.evaluation.segmentation import SegmentedFilm
from pipelines.evaluation.segmentation_point import (
    FILE_NAME,
    SegmentationPoint,
    choose_segmentation_point,
)
from pipelines.evaluation.segmentation_report import evaluate_segmentation, format_segmentation
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.ranks import ranks
from pipelines.transforms.layers import load_layers, unpack_layers
from pipelines.transforms.letterbox import Letterbox
from pipelines.transforms.reading import LoadRadiographd
from pipelines.workflows.ending import Ending

logger = logging.getLogger(__name__)

# Hands lie in any pose, so that grey values tell little: against chests and real hands, nine chests
# in ten are told in place of seven, at the same false alarms.
_EDGE_WEIGHT = 2.0


class SegmentationOutcome(Ending):
    """Turns a trained or loaded network into the files that a run leaves.

    Figures are those of masks at the original size of each film, as people get them.

    Args:
        output_dir: Folder of the run.
        evaluator: Runs the network over the films of `split`.
        dataset: The data set of the run.
        split: Which films the evaluator runs over: `val` after training.
        train_dataset: Training films, on which a guard is fitted; None fits none.
        weights: The weights that are evaluated; their operating point stands beside them. Those
            that a training begins with need none.
        checkpoint_dir: Folder of the run's checkpoints.
        choose_thresholds: Choose a threshold for each structure on validation films; otherwise all
            are decided at even odds.
        largest_piece: Keep the largest connected part of each structure alone.
        refiner: What draws outlines anew, as `Refiner.find` takes it; None draws none.
        subgroups: Columns of the data that figures are told by, see `Ending`.
        report: Whether `report.html` is drawn.
        seed: Seed of the bootstrap intervals.
    """

    def __init__(  # noqa: PLR0913 - what a configuration sets
        self,
        output_dir: str | Path,
        *,
        evaluator: RadiographEvaluator,
        dataset: OpenedPairs,
        split: str,
        train_dataset: RadiographDataset | None = None,
        weights: str | Path | None = None,
        checkpoint_dir: str | Path | None = None,
        choose_thresholds: bool = True,
        largest_piece: bool = True,
        refiner: str | Path | None = None,
        subgroups: Sequence[str] | None = None,
        report: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(
            output_dir,
            evaluator=evaluator,
            split=split,
            weights=weights,
            checkpoint_dir=checkpoint_dir,
            subgroups=subgroups,
            report=report,
        )
        self.dataset = dataset
        self.train_dataset = train_dataset
        self.choose_thresholds = choose_thresholds
        self.largest_piece = largest_piece
        self.refiner = refiner
        self.seed = seed

    def check_settings(self) -> None:
        """Refuse what could not be finished, before anything is trained.

        Raises:
            ConfigurationError: If the network does not have a channel for each class, or does not
                take films of this size.
        """
        self.subgroup_columns()
        classes = self.dataset.classes
        film = self.evaluator.data_loader.dataset[0]["image"]
        try:
            logits = self._logits(film)
        except RuntimeError as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected an image_height and image_width that the network's strides divide, got "
                f"{tuple(film.shape[1:])}; choose multiples of 32",
            ) from error
        if logits.shape[0] != len(classes) or logits.shape[1:] != film.shape[1:]:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a network with {len(classes)} maps of {tuple(film.shape[1:])}, one a "
                f"class, got {logits.shape}; set its output channels, and a size that it divides",
            )

    def finish(self) -> None:
        """End a training run.

        The best epoch's weights become `model.pt`; the thresholds are chosen on the validation
        films with these very weights, and the figures are those films'. Of several processes the
        first one does.

        Raises:
            RunError: If no epoch was completed.
        """
        self.keep_best_weights()
        if not ranks().is_main:
            return
        point = self._choose()
        point.save(self.folder / FILE_NAME)
        self.remember_films(self.dataset)
        self.fit_guard(self.train_dataset, edge_weight=_EDGE_WEIGHT)
        weights = self.folder / "model.pt"
        self.draw_curves()
        self._write(point, weights, self._refiner_of(weights))
        self.draw_report("training run", self._names())

    def evaluate(self) -> None:
        """Evaluate given weights with the operating point that ships with them.

        Raises:
            RunError: If no weights were named.
        """
        weights = self.given_weights()
        if not ranks().is_main:
            return
        self._write(self._point_of(weights), weights, self._refiner_of(weights))
        self.draw_report("evaluation", self._names())

    def _names(self) -> list[str]:
        items: list[dict[str, Any]] = self.dataset.split(self.split)  # type: ignore[arg-type]
        return [self.dataset.datalist.name_of(item) for item in items]

    def _refiner_of(self, weights: Path) -> Refiner | None:
        return Refiner.find(self.refiner, weights=weights, device=self.device)

    def _point_of(self, weights: Path) -> SegmentationPoint:
        """The operating point beside weights.

        Raises:
            ConfigurationError: If it is missing or of other classes.
        """
        point = SegmentationPoint.beside(weights)
        if point.classes != self.dataset.classes:
            raise ConfigurationError(
                Reason.WEIGHTS_MISMATCH,
                f"expected weights for {', '.join(self.dataset.classes)}, got some for "
                f"{', '.join(point.classes)}; set classes to those of the weights",
            )
        return point

    def _choose(self) -> SegmentationPoint:
        if not self.choose_thresholds:
            return SegmentationPoint.even(self.dataset.classes, largest_piece=self.largest_piece)
        return choose_segmentation_point(
            self._at_network_size(),
            classes=self.dataset.classes,
            split=self.split_name,
            largest_piece=self.largest_piece,
        )

    def _at_network_size(self) -> Iterator[tuple[npt.NDArray[np.float32], Mask]]:
        films: Any = self.evaluator.data_loader.dataset
        for index in range(len(films)):
            item = films[index]
            yield self._logits(item["image"]), np.asarray(item["label"])

    def _logits(self, film: torch.Tensor) -> npt.NDArray[np.float32]:
        network = self.evaluator.network.eval()
        with torch.inference_mode():
            logits = self.evaluator.inferer(film[None].to(self.device), network)
        return np.asarray(logits[0].float().cpu())

    def _films(
        self, point: SegmentationPoint, refiner: Refiner | None = None
    ) -> Iterator[SegmentedFilm]:
        """Give every film with its true and its predicted masks at its original size."""
        read = LoadRadiographd(keys="image")
        items: list[dict[str, Any]] = self.dataset.split(self.split)  # type: ignore[arg-type]
        for item in items:
            film = read({"image": item["image"]})
            pixels = np.asarray(film["image"])
            height, width = pixels.shape[1:]
            logits, placement = self._first_answer(item)
            refined = None
            if refiner is not None:
                refined = refiner(pixels, logits, placement=placement, point=point)
            # One structure at a time: 29 maps of floats at full size are large.
            masks = np.empty((len(point.classes), height, width), dtype=np.bool_)
            for channel, plane in enumerate(logits):
                mask = None if refined is None else refined.mask(channel)
                if mask is None:
                    mask = point.decide(placement.to_film(plane[None])[0], channel)
                masks[channel] = mask
            layers = load_layers(
                Path(item["label"]),
                classes=point.classes,
                size=(height, width),
                sides=self.dataset.sides,
            )
            yield SegmentedFilm(
                filename=self.dataset.datalist.name_of(item),
                group=str(item["group"]),
                pixels=pixels,
                truth=unpack_layers(layers, len(point.classes)),
                prediction=masks,
                spacing_mm=film["spacing_mm"],
            )

    def _first_answer(self, item: dict[str, Any]) -> tuple[npt.NDArray[np.float32], Letterbox]:
        """The network's logits for a film, and how the film lies in them."""
        chain: Any = self.evaluator.data_loader.dataset.transform
        prepared = chain({"image": item["image"]})
        return self._logits(prepared["image"]), prepared["placement"]

    def _write(self, point: SegmentationPoint, weights: Path, refiner: Refiner | None) -> None:
        deciding = point if refiner is None else refiner.settings.point
        evaluation = evaluate_segmentation(
            self._films(point, refiner),
            classes=point.classes,
            output_dir=self.folder,
            split=self.split_name,
            facts=self.facts(weights),
            threshold_origin=deciding.origin(self.split_name),
            seed=self.seed,
        )
        logger.info("%s", format_segmentation(evaluation))
        logger.info("Figures, tables and pictures: %s", self.folder)
