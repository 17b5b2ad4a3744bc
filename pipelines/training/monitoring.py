"""What a person watches while a run trains: lines, `log.csv`, TensorBoard."""

import csv
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch.utils.tensorboard import SummaryWriter

from pipelines.files import write_csv
from pipelines.training.confusion import confusion_picture
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.hyperparameters import add_hyperparameters, recorded_settings
from pipelines.training.pictures import (
    add_curves,
    is_of_crops,
    one_by_one,
    with_masks,
    with_reconstructions,
)
from pipelines.training.ranks import ranks
from pipelines.training.trainer import RadiographTrainer

logger = logging.getLogger(__name__)

_SAMPLE_IMAGES = 16
_SAMPLE_MAPS = 4
_SECONDS_BETWEEN_LINES = 15.0


class EpochLog:
    """Write a row an epoch to `log.csv` and a line to the log.

    A resumed run keeps the rows of the epochs before it. Attach it behind the handler that
    validates.

    Args:
        output_dir: Folder of the run.
        evaluator: Whose metrics to write.
    """

    def __init__(self, output_dir: Path | str, *, evaluator: RadiographEvaluator) -> None:
        self.path = Path(output_dir) / "log.csv"
        self.evaluator = evaluator
        self._began = 0.0
        self._told = 0.0

    def attach(self, engine: Engine) -> None:
        """Register for the trainer's epochs and iterations; of several processes the first does."""
        if not ranks().is_main:
            return
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._tell)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def write(self, trainer: RadiographTrainer) -> None:
        """Add the row of the epoch that has just ended."""
        epoch = int(trainer.state.epoch)
        row: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": round(float(trainer.state.metrics["train_loss"]), 6),
            "learning_rate": f"{trainer.optimizer.param_groups[0]['lr']:.3g}",
            **{name: round(value, 6) for name, value in measured(self.evaluator, epoch).items()},
            "waited_percent": round(waited_percent(trainer, self.evaluator), 2),
            "seconds": round(time.perf_counter() - self._began, 1),
        }
        rows = [*(r for r in self._rows() if int(r["epoch"]) < epoch), row]
        # Not every epoch is validated: its row has fewer columns, and they stay empty.
        widest = max(rows, key=len)
        write_csv(self.path, list(widest), [dict.fromkeys(widest, "") | each for each in rows])
        key = self.evaluator.state.key_metric_name
        logger.info(
            "Epoch %d of %d: train loss %.4f, %s %s, %.0f s, waited %.1f %% for films",
            row["epoch"],
            trainer.state.max_epochs,
            row["train_loss"],
            key,
            row.get(key, "not measured"),
            row["seconds"],
            row["waited_percent"],
        )

    def _rows(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as table:
            return list(csv.DictReader(table))

    def _start(self, trainer: Engine) -> None:
        self._began = self._told = time.perf_counter()

    def _tell(self, trainer: RadiographTrainer) -> None:
        now = time.perf_counter()
        if now - self._told < _SECONDS_BETWEEN_LINES:
            return
        self._told = now
        done = (trainer.state.iteration - 1) % trainer.state.epoch_length + 1
        left = (now - self._began) / done * (trainer.state.epoch_length - done)
        logger.info(
            "Epoch %d of %d: batch %d of %d, loss %.4f, %.0f s left in this epoch",
            trainer.state.epoch,
            trainer.state.max_epochs,
            done,
            trainer.state.epoch_length,
            trainer.state.output[CommonKeys.LOSS],
            left,
        )


class TensorBoard:
    """Write what a person watches to TensorBoard.

    Loss, learning rate, gradient norm, time waited for films, every metric, sample images and
    hyperparameters; of a classifier its confusion matrix, ROC and precision-recall curves; of a
    segmentation true and predicted masks on films; of an autoencoder films, reconstructions and
    what differs.

    Args:
        output_dir: Folder of the run.
        evaluator: Whose metrics to write.
        log_dir: Folder of the event files; by default that of the run.
        classes: Class names in order, for the confusion matrix.
    """

    def __init__(
        self,
        output_dir: Path | str,
        *,
        evaluator: RadiographEvaluator,
        log_dir: Path | str | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        self.output_dir = Path(output_dir)
        self.evaluator = evaluator
        self.log_dir = Path(log_dir or output_dir)
        self.classes = tuple(classes)
        self._writer: SummaryWriter | None = None

    def attach(self, engine: Engine) -> None:
        """Register for the trainer's events; of several processes the first does."""
        if not ranks().is_main:
            return
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch)
        engine.add_event_handler(Events.COMPLETED, self._close)

    def _open(self, step: int) -> SummaryWriter:
        if self._writer is None:
            # What a killed run wrote beyond its last checkpoint is hidden, not shown twice.
            self._writer = SummaryWriter(str(self.log_dir), purge_step=step)
        return self._writer

    def _iteration(self, trainer: RadiographTrainer) -> None:
        step = trainer.state.iteration
        writer: Any = self._open(step)
        writer.add_scalar("train/loss", trainer.state.output[CommonKeys.LOSS], step)
        rate = trainer.optimizer.param_groups[0]["lr"]
        writer.add_scalar("train/learning_rate", rate, step)
        if math.isfinite(trainer.grad_norm):
            writer.add_scalar("train/gradient_norm", trainer.grad_norm, step)
        if (step - 1) % trainer.state.epoch_length == 0:
            images = one_by_one(trainer.state.output[CommonKeys.IMAGE])[:_SAMPLE_IMAGES]
            writer.add_images("train/images", to_display(images), step)

    def _epoch(self, trainer: RadiographTrainer) -> None:
        step = trainer.state.iteration
        writer: Any = self._open(step)
        said = measured(self.evaluator, int(trainer.state.epoch))
        for name, value in said.items():
            writer.add_scalar(f"validation/{name.removeprefix('val_')}", value, step)
        writer.add_scalar("train/waited_percent", waited_percent(trainer, self.evaluator), step)
        if said:
            self._show(writer, step)
        writer.flush()

    def _show(self, writer: Any, step: int) -> None:
        if self.evaluator.labels:
            add_curves(
                writer,
                self.evaluator.logits,
                self.evaluator.labels,
                step=step,
                classes=self.classes,
            )
            picture = confusion_picture(
                self.evaluator.logits, self.evaluator.labels, classes=self.classes
            )
            writer.add_image("validation/confusion_matrix", picture, step, dataformats="HWC")
            return
        output = self.evaluator.state.output
        keys = (CommonKeys.IMAGE, CommonKeys.LABEL, CommonKeys.PRED)
        images, label, made = (output[key] for key in keys)
        if is_of_crops(images):
            images, label, made = (one_by_one(each) for each in (images, label, made))
        images, label, made = (each[:_SAMPLE_MAPS] for each in (images, label, made))
        if label.is_floating_point():
            writer.add_images("validation/reconstructions", with_reconstructions(label, made), step)
        else:
            shown = with_masks(to_display(images), label, made)
            writer.add_images("validation/masks", shown, step)

    def _close(self, trainer: RadiographTrainer) -> None:
        if self._writer is not None:
            settings = recorded_settings(self.output_dir)
            final = measured(self.evaluator, int(trainer.state.epoch))
            if settings and final:
                named = {f"validation/{k.removeprefix('val_')}": v for k, v in final.items()}
                add_hyperparameters(self._writer, settings, named)
            self._writer.close()
            self._writer = None


def measured(evaluator: RadiographEvaluator, epoch: int) -> dict[str, float]:
    """Return the metrics that are plain numbers, if the validation of this epoch has been run."""
    if evaluator.state.epoch != epoch:
        return {}
    return {
        name: float(value)
        for name, value in evaluator.state.metrics.items()
        if isinstance(value, int | float)
    }


def waited_percent(trainer: RadiographTrainer, evaluator: RadiographEvaluator) -> float:
    """Return the share of the present epoch, 0 to 100, in which training or validation waited."""
    validated = evaluator.state.epoch == trainer.state.epoch
    return trainer.waiting.percent(*([evaluator.waiting] if validated else []))


def to_display(images: torch.Tensor) -> torch.Tensor:
    """Stretch each image to 0..1 for display.

    Args:
        images: (batch, channel, height, width), any range.

    Returns:
        float32, the same shape, 0 to 1.
    """
    flat = images.detach().float().flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    span = (high - low).clamp_min(1e-6)
    shape = (-1, 1, 1, 1)
    return ((images.float() - low.view(shape)) / span.view(shape)).cpu()
