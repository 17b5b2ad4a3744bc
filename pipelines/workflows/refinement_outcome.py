"""What the training of a refiner ends with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.datasets.opened_pairs import OpenedPairs
from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.coarse import CoarseMasks
from pipelines.evaluation.refiner import SETTINGS_NAME, WEIGHTS_NAME, Refiner, RefinerSettings
from pipelines.networks.refiner import BoneRefiner
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.ranks import ranks
from pipelines.transforms.intensity import stretch
from pipelines.transforms.letterbox import Letterbox
from pipelines.transforms.reading import LoadRadiographd
from pipelines.workflows.segmentation_outcome import SegmentationOutcome


class RefinementOutcome(SegmentationOutcome):
    """Turns a trained refiner into `refiner.pt` and `refiner.json`, and figures of both networks.

    Thresholds are chosen on the validation films, in the frames; the figures are those of masks at
    the films' own size, drawn as predictions are.

    Args:
        output_dir: Folder of the run.
        evaluator: Runs the refiner over the crops of the films of `split`.
        dataset: The data set of the run.
        first: The network whose masks show where bones lie.
        network: The refiner in training; its shape stands in `refiner.json`.
        margin: See `bone_frames.find_frames`.
        least_overlap: A refined mask whose IoU with the first one is less is not believed.
        split: Which films the evaluator runs over: `val` after training.
        checkpoint_dir: Folder of the run's checkpoints.
        subgroups: Columns of the data that figures are told by, see `Ending`.
        report: Whether `report.html` is drawn.
        seed: Seed of the bootstrap intervals.

    Raises:
        ConfigurationError: If the network is no `BoneRefiner`.
    """

    def __init__(  # noqa: PLR0913 - what a configuration sets
        self,
        output_dir: str | Path,
        *,
        evaluator: RadiographEvaluator,
        dataset: OpenedPairs,
        first: CoarseMasks,
        network: BoneRefiner,
        margin: float,
        least_overlap: float = 0.5,
        split: str = "val",
        checkpoint_dir: str | Path | None = None,
        subgroups: Sequence[str] | None = None,
        report: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(
            output_dir,
            evaluator=evaluator,
            dataset=dataset,
            split=split,
            checkpoint_dir=checkpoint_dir,
            subgroups=subgroups,
            report=report,
            seed=seed,
        )
        if not isinstance(network, BoneRefiner):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a BoneRefiner as network_def, got {type(network).__name__}",
            )
        self.first = first
        self.shape = network
        self.margin = margin
        self.least_overlap = least_overlap

    def finish(self) -> None:
        """End a training run; of several processes the first one does.

        Raises:
            RunError: If no epoch was completed.
        """
        self.keep_best_weights(WEIGHTS_NAME)
        if not ranks().is_main:
            return
        height, width = self.films[0]["image"].shape[1:]
        settings = RefinerSettings(
            point=self._choose(),
            height=int(height),
            width=int(width),
            margin=self.margin,
            channels=self.shape.channels,
            embedding=self.shape.embedding,
            least_overlap=self.least_overlap,
        )
        settings.save(self.folder / SETTINGS_NAME)
        self.remember_films(self.dataset)
        weights = self.folder / WEIGHTS_NAME
        self.draw_curves()
        self._write(self.first.point, weights, Refiner(weights, device=self.device))
        self.draw_report("training run", self._names())

    def _first_answer(self, item: dict[str, Any]) -> tuple[npt.NDArray[np.float32], Letterbox]:
        film = LoadRadiographd(keys="image")({"image": item["image"]})["image"]
        return self.first(stretch(np.asarray(film)))

    def _thumbnails(self, names: Sequence[str]) -> dict[str, str]:
        """None: what the evaluator has are crops of bones, not films."""
        del names
        return {}
