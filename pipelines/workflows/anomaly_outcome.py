"""What a training run of an anomaly detector ends with, and what its evaluation is."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pipelines.datasets.anomaly import AnomalyDataset
from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.evaluation.anomaly import (
    AnomalyCases,
    AnomalyEvaluation,
    choose_anomaly_point,
    evaluate_anomalies,
    format_anomalies,
)
from pipelines.evaluation.anomaly_files import write_anomalies
from pipelines.evaluation.anomaly_pictures import draw_anomaly, stack_pictures, write_picture
from pipelines.evaluation.anomaly_point import AnomalyPoint, Criterion, check_target
from pipelines.evaluation.anomaly_scores import (
    AnomalyScore,
    MeasuredFilms,
    Profile,
    measure_films,
)
from pipelines.nearest import right_names
from pipelines.table_cells import table_filename
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.ranks import ranks
from pipelines.workflows.ending import Ending

logger = logging.getLogger(__name__)

_BRIGHTEST = 0.999
_PICTURES = 6


class AnomalyOutcome(Ending):
    """Turns a trained or loaded network into the files that a run leaves.

    Args:
        output_dir: Folder of the run.
        evaluator: Has the network, how it is called, and the films of `split`.
        reference: The training films without random changes: what normal films look like.
        dataset: The data set of the run.
        split: Which films the evaluator has: `val` after training.
        image_size: Side in pixels of the square that the network sees.
        clahe: Whether films are equalised by CLAHE.
        clip_limit: Of CLAHE.
        weights: The weights that are evaluated; their operating point stands beside them.
        score: `mean_error`, `top_error`, `patch_ssim`, `profile` or `combined`; None takes the one
            with the highest AUROC on validation films, and without labels `combined`.
        criterion: How the threshold is chosen after training.
        target: What the criterion shall reach.
        subgroups: Columns of the data that figures are told by, see `Ending`.
        report: Whether `report.html` is drawn.
        seed: Seed of the bootstrap intervals.

    Raises:
        ConfigurationError: If there is no such score.
    """

    def __init__(  # noqa: PLR0913 - what a configuration sets
        self,
        output_dir: str | Path,
        *,
        evaluator: RadiographEvaluator,
        reference: RadiographDataset,
        dataset: AnomalyDataset,
        split: str,
        image_size: int,
        clahe: bool = False,
        clip_limit: float = 2.0,
        weights: str | Path | None = None,
        score: str | None = None,
        criterion: Criterion = "youden",
        target: float | None = None,
        subgroups: Sequence[str] | None = None,
        report: bool = True,
        seed: int = 0,
    ) -> None:
        if score is not None and score not in set(AnomalyScore):
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"expected the name of a score, got {score!r}{right_names(score, AnomalyScore)}",
            )
        super().__init__(
            output_dir,
            evaluator=evaluator,
            split=split,
            weights=weights,
            subgroups=subgroups,
            report=report,
        )
        self.reference = reference
        self.dataset = dataset
        self.image_size = image_size
        self.clahe = clahe
        self.clip_limit = clip_limit
        self.score = None if score is None else AnomalyScore(score)
        self.criterion: Criterion = criterion
        self.target = target
        self.seed = seed

    def check_settings(self) -> None:
        """Refuse training that could not be finished, before it begins.

        Raises:
            ConfigurationError: If criterion and target do not go together.
        """
        check_target(self.criterion, self.target)
        self.subgroup_columns()

    def check_evaluation(self) -> None:
        """Refuse an evaluation that could not be finished, before anything is read.

        Raises:
            ConfigurationError: If the operating point beside the weights is missing, or films are
                prepared in another way than in training.
            RunError: If no weights were named.
        """
        AnomalyPoint.beside(self.given_weights()).require_input(
            image_size=self.image_size, clahe=self.clahe, clip_limit=self.clip_limit
        )
        self.subgroup_columns()

    def finish(self) -> None:
        """End a training run.

        The best epoch's weights become `model.pt`; score, threshold and limit are chosen on the
        validation films with these very weights, and the figures are those films'. Of several
        processes the first one does.

        Raises:
            RunError: If no epoch was completed.
        """
        self.keep_best_weights()
        if not ranks().is_main:
            return
        profile = Profile.fit(self._measured(self.reference))
        cases = self._cases()
        point = choose_anomaly_point(
            cases,
            profile,
            image_size=self.image_size,
            error_scale=self._error_scale(),
            score=self.score,
            criterion=self.criterion,
            target=self.target,
            split=self.split_name,
            seed=self.seed,
        )
        point = replace(point, clahe=self.clahe, clip_limit=self.clip_limit)
        point.save(self.folder)
        self.remember_films(self.dataset)
        self.draw_curves()
        self._write(cases, point, self.folder / "model.pt")
        self.draw_report("training run", cases.filenames)

    def evaluate(self) -> None:
        """Evaluate given weights with the operating point that ships with them.

        Raises:
            RunError: If no weights were named.
        """
        weights = self.given_weights()
        if not ranks().is_main:
            return
        cases = self._cases()
        self._write(cases, AnomalyPoint.beside(weights), weights)
        self.draw_report("evaluation", cases.filenames)

    @property
    def _items(self) -> Sequence[dict[str, Any]]:
        return self.dataset.split(self.split)  # type: ignore[arg-type]

    def _pairs(self, films: RadiographDataset) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Give films and reconstructions, (batch, 1, height, width) both, on the CPU."""
        network: nn.Module = self.evaluator.network.eval()
        size = self.evaluator.data_loader.batch_size
        for batch in DataLoader(films, batch_size=size):
            images = batch["image"].to(self.device)
            with torch.inference_mode():
                made = self.evaluator.inferer(images, network)
            yield images.cpu(), made.float().cpu()

    def _measured(self, films: RadiographDataset) -> MeasuredFilms:
        parts = [measure_films(*pair) for pair in self._pairs(films)]
        measured = MeasuredFilms.joined(parts)
        if not np.isfinite(measured.profiles).all():
            raise RunError(
                Reason.NOT_FINITE,
                "expected finite reconstructions, got some that are not; "
                "the weights or the films are broken",
            )
        return measured

    def _cases(self) -> AnomalyCases:
        items = self._items
        return AnomalyCases(
            filenames=tuple(self.dataset.datalist.name_of(item) for item in items),
            groups=tuple(str(item["group"]) for item in items),
            labels=np.array([int(item["label"]) for item in items], dtype=np.int64),
            measured=self._measured(self.films),
        )

    def _error_scale(self) -> float:
        """The 99.9th percentile of absolute errors of normal films, as their mean."""
        labels = iter([int(item["label"]) for item in self._items])
        scales = [
            float(np.quantile(np.abs(made[0] - film[0]), _BRIGHTEST))
            for films, reconstructions in self._pairs(self.films)
            for film, made in zip(films.numpy(), reconstructions.numpy(), strict=True)
            if next(labels) == 0
        ]
        return float(np.mean(scales))

    def _write(self, cases: AnomalyCases, point: AnomalyPoint, weights: Path) -> None:
        split = self.split_name
        evaluation = evaluate_anomalies(cases, point, split=split, seed=self.seed)
        evaluation = replace(evaluation, facts=self.facts(weights))
        write_anomalies(self.folder, evaluation)
        self._draw(evaluation)
        logger.info("%s", format_anomalies(evaluation))
        logger.info("Figures, tables and pictures: %s", self.folder)

    def _draw(self, evaluation: AnomalyEvaluation) -> None:
        """Draw the films with the lowest scores and those with the highest, one a group."""
        order = np.argsort(evaluation.scores, kind="stable").tolist()
        for name, places in (("lowest", order), ("highest", order[::-1])):
            first: dict[str, int] = {}
            for place in places:
                first.setdefault(evaluation.cases.groups[place], place)
            shown = list(first.values())[:_PICTURES]
            pictures = [self._picture(evaluation, place) for place in shown]
            write_picture(self.folder / f"{name}_scores.png", stack_pictures(pictures))
            for rank, (place, picture) in enumerate(zip(shown, pictures, strict=True), start=1):
                film = table_filename(evaluation.cases.filenames[place])
                write_picture(self.folder / "cases" / f"{name}_{rank}.png", picture, film=film)

    def _picture(self, evaluation: AnomalyEvaluation, place: int) -> Any:
        film = torch.as_tensor(self.films[place]["image"])
        with torch.inference_mode():
            made = self.evaluator.inferer(film[None].to(self.device), self.evaluator.network)
        cases = evaluation.cases
        seen = np.asarray(film[0], dtype=np.float32)
        return draw_anomaly(
            seen,
            seen,
            made[0, 0].float().cpu().numpy(),
            error_scale=evaluation.point.error_scale,
            title=f"{evaluation.scores[place]:.3g}  {Path(cases.filenames[place]).name}",
        )
