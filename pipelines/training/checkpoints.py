"""Keep the last and the best state of a run, and go on from the last one."""

import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.training.checkpoint_files import LAST, read_last, write_best, write_last
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.ranks import ranks
from pipelines.training.stopping import go_on_within_epoch, state_within_epoch, stop_request
from pipelines.training.trainer import RadiographTrainer

logger = logging.getLogger(__name__)

_NO_CHECKPOINT = (
    RuntimeError,
    KeyError,
    ValueError,
    pickle.UnpicklingError,
    EOFError,
    OSError,
)


class Checkpoints:
    """Write `last.pt` after every epoch and `best.pt` when the key metric has improved.

    `last.pt` resumes everything: weights, averaged weights, optimizer, schedule, loss scaler,
    epoch, and the best metric with its epoch, from which early stopping follows. Random numbers are
    a function of seed and epoch, so they have no state to keep.
    Where the process is told to end, `last.pt` is written within the epoch too, see `stopping`.
    Of several processes the first one reads and writes; all end together.
    `best.pt` holds the validated network's state dict alone; `last.pt` holds it too, so that both
    agree whenever the process ends, and `before.pt` is the `last.pt` before, for when that is
    damaged. Attach it behind the handler that validates.

    Args:
        directory: Folder of the checkpoints; if it holds `last.pt`, training goes on from there.
        evaluator: Validates the network whose weights `best.pt` holds.
    """

    def __init__(self, directory: Path | str, *, evaluator: RadiographEvaluator) -> None:
        self.directory = Path(directory)
        self.evaluator = evaluator
        self._best: dict[str, torch.Tensor] | None = None

    def attach(self, engine: Engine) -> None:
        """Register for the trainer's start, its end, and what a checkpoint may stand behind."""
        engine.add_event_handler(Events.STARTED, self.resume)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.stop_if_asked)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        engine.add_event_handler(Events.COMPLETED, self.done)

    def resume(self, trainer: RadiographTrainer) -> None:
        """Restore what `last.pt` holds, if there is one.

        Raises:
            RunError: If the file does not fit this run.
        """
        stop_request.training = True
        state = self._read(trainer.state.device)
        if state is None:
            return
        with _fitting():
            trainer.network.load_state_dict(state["network"])
            if trainer.average is not None:
                trainer.average.load_state_dict(state["average"])
            trainer.optimizer.load_state_dict(state["optimizer"])
            trainer.loss_scaler.load_state_dict(state["scaler"])
            if trainer.lr_scheduler is not None:
                trainer.lr_scheduler.load_state_dict(state["lr_scheduler"])
        self._restore_best(state)
        trainer.state.epoch = state["epoch"]
        trainer.state.iteration = state["epoch"] * trainer.state.epoch_length
        self.evaluator.state.best_metric = state["best_metric"]
        self.evaluator.state.best_metric_epoch = state["best_metric_epoch"]
        self.evaluator.state.epoch = state["validated_epoch"]
        self.evaluator.metric_cmp_fn.highest = state["highest_metric"]
        logger.info("Going on after epoch %d of %d", state["epoch"], trainer.state.max_epochs)
        within = state.get("within_epoch")
        if within is not None:
            logger.info("and %d batches of the next one", within["batches"])
            go_on_within_epoch(trainer, within)

    def _read(self, device: torch.device) -> dict[str, Any] | None:
        """Return what the first process finds, which may be the only one that can see it."""
        group, state = ranks(), None
        if group.is_main:
            with _fitting():
                state = read_last(self.directory, device=device if group.alone else "cpu")
        return group.from_main(state)

    def _restore_best(self, state: dict[str, Any]) -> None:
        """Let `best.pt` be that of this very checkpoint: a crash may have come between the two."""
        best = state.get("best")
        if best is not None and ranks().is_main:
            self._best = {name: value.cpu() for name, value in best.items()}
            write_best(self.directory, self._best)

    def save(self, trainer: RadiographTrainer) -> None:
        """Write `best.pt` if this epoch is the best so far, then `last.pt`."""
        best = self.evaluator.state.best_metric_epoch == trainer.state.epoch
        if best and ranks().is_main:
            weights = self.evaluator.network.state_dict()
            self._best = {name: value.detach().cpu().clone() for name, value in weights.items()}
            write_best(self.directory, self._best)
        self._write(trainer, epoch=int(trainer.state.epoch))
        if ranks().any_of(stop_request.asked):
            logger.info("Told to end: epoch %d is kept", trainer.state.epoch)
            stop_request.end()

    def stop_if_asked(self, trainer: RadiographTrainer) -> None:
        """End the process behind this batch if it was told to, with `last.pt` as of now."""
        if not ranks().any_of(stop_request.asked):
            return
        within = state_within_epoch(trainer)
        if within is None:
            return
        self._write(trainer, epoch=int(trainer.state.epoch) - 1, within_epoch=within)
        logger.info(
            "Told to end: %d batches of epoch %d are kept", within["batches"], trainer.state.epoch
        )
        stop_request.end()

    def done(self, _trainer: Engine) -> None:
        """There is nothing left to keep that is not in a file."""
        stop_request.training = False

    def _write(
        self,
        trainer: RadiographTrainer,
        *,
        epoch: int,
        within_epoch: dict[str, Any] | None = None,
    ) -> None:
        """Write `last.pt` as of `epoch` whole epochs, and what was done of the next one."""
        if not ranks().is_main:
            return
        seen = self.evaluator.state
        state = {
            "network": trainer.network.state_dict(),
            "average": trainer.average.state_dict() if trainer.average is not None else None,
            "optimizer": trainer.optimizer.state_dict(),
            "scaler": trainer.loss_scaler.state_dict(),
            "lr_scheduler": trainer.lr_scheduler.state_dict() if trainer.lr_scheduler else None,
            "epoch": epoch,
            "within_epoch": within_epoch,
            "best_metric": float(seen.best_metric),
            "highest_metric": float(self.evaluator.metric_cmp_fn.highest),
            "best_metric_epoch": int(seen.best_metric_epoch),
            "validated_epoch": int(seen.epoch),
            "best": self._best,
        }
        write_last(self.directory, state)


@contextmanager
def _fitting() -> Iterator[None]:
    """Say of a checkpoint that it is none of this run, whatever shows it.

    Raises:
        RunError: In place of that.
    """
    try:
        yield
    except _NO_CHECKPOINT as error:
        raise RunError(
            Reason.WEIGHTS_MISMATCH,
            f"expected a checkpoint of this network and optimizer in {LAST}, got another; "
            "use a new output_dir",
        ) from error


class EarlyStopping:
    """End a run when the key metric has not improved for some epochs.

    Args:
        evaluator: Its key metric counts, higher is better.
        patience: Epochs without improvement after which to stop.
    """

    def __init__(self, *, evaluator: RadiographEvaluator, patience: int) -> None:
        if patience < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected a patience of at least 1 epoch, got {patience}"
            )
        self.evaluator = evaluator
        self.patience = patience

    def attach(self, engine: Engine) -> None:
        """Register for the trainer's start, which may be a resumed one, and its epochs' ends."""
        engine.add_event_handler(Events.STARTED | Events.EPOCH_COMPLETED, self.decide)

    def decide(self, trainer: Engine) -> None:
        """Stop the trainer if the best epoch lies `patience` epochs back.

        An epoch without validation says nothing.
        """
        best = self.evaluator.state.best_metric_epoch
        if self.evaluator.state.epoch != trainer.state.epoch:
            return
        if best > 0 and trainer.state.epoch - best >= self.patience:
            logger.info("No better epoch than %d in %d epochs: stopping early", best, self.patience)
            trainer.terminate()
