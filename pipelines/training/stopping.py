"""Ending a run that is told to end: SIGTERM keeps what was trained so far, within the epoch too.

Batch systems and clouds send SIGTERM before they take a machine away, and kill what is left some
seconds or minutes later. A run that is told so writes a checkpoint behind the batch it is at and
ends with the status 143; started again, it goes on behind that batch, and ends as if it had never
been disturbed.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import torch
from ignite.engine import Engine, Events
from torch.distributed import DistError

from pipelines.errors import Reason, RunError
from pipelines.refusal_text import root_cause
from pipelines.told_to_end import SECONDS_TO_END, STATUS
from pipelines.training.ranks import ranks
from pipelines.training.sampling import drawn_by
from pipelines.training.trainer import RadiographTrainer, seed_of_network

logger = logging.getLogger(__name__)

_SEEDS_BETWEEN_BATCHES = 7_919

GRACE_SECONDS = 90.0
"""How long a checkpoint may take; what has none by then ends with the one before.

SageMaker kills 120 seconds after SIGTERM, and what is written still has to be copied.
"""


class StopRequest:
    """Whether this process has been told to end, and whether there is something to keep first.

    Attributes:
        asked: Whether it has been told.
        training: Whether a trainer is running that will look.
    """

    def __init__(self) -> None:
        self.asked = False
        self.training = False
        self._grace_seconds = GRACE_SECONDS
        self._timer: threading.Timer | None = None

    @contextmanager
    def heeded(self, *, grace_seconds: float = GRACE_SECONDS) -> Iterator[None]:
        """Let SIGTERM end the process by `SystemExit` of status 143 while the block runs.

        During training that waits for a checkpoint, at most `grace_seconds`.

        Args:
            grace_seconds: How long the checkpoint may take.

        Yields:
            Nothing. In another thread than the main one signals are left as they are.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.asked = self.training = False
        self._grace_seconds = grace_seconds
        before = signal.signal(signal.SIGTERM, self._take)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            self.asked = self.training = False
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def end(self) -> NoReturn:
        """End the process by an exception, so that half-written files are removed.

        Raises:
            SystemExit: Always, with status 143.
        """
        raise SystemExit(STATUS)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        training, asked = self.training, self.asked
        self.asked = True
        if not asked:
            # A batch, a validation or a pool of readers that takes too long: files are whole or
            # not there, whenever the process ends.
            seconds = self._grace_seconds if training else SECONDS_TO_END
            self._timer = threading.Timer(seconds, os._exit, [STATUS])
            self._timer.daemon = True
            self._timer.start()
        if not training:
            self.end()


stop_request = StopRequest()
"""That of this process."""


@contextmanager
def lost_processes_told() -> Iterator[None]:
    """Say plainly that another process of the run has ended, of which this one hears by its line.

    Raises:
        RunError: In place of what the broken connection raised.
    """
    try:
        yield
    except Exception as error:
        cause = root_cause(error)
        by_line = isinstance(cause, DistError) or "gloo" in str(cause)
        if ranks().alone or not isinstance(cause, RuntimeError) or not by_line:
            raise
        # What started this process will see which one ended first, and why.
        deadline = time.monotonic() + SECONDS_TO_END
        while time.monotonic() < deadline and not stop_request.asked:
            time.sleep(0.05)
        raise RunError(
            Reason.PROCESS_LOST,
            f"expected all {ranks().size} processes of the run to go on, another one has ended; "
            "what it said, or its machine, tells why",
        ) from error


def state_within_epoch(trainer: RadiographTrainer) -> dict[str, Any] | None:
    """Return what a checkpoint needs beside its usual content to go on within an epoch.

    Args:
        trainer: Between two batches.

    Returns:
        Numbers and tensors; None where the epoch cannot be continued at this batch: gradients are
        being summed, it is the last one, or films are drawn by another sampler than ours.
    """
    done = _batches_done(trainer)
    if drawn_by(trainer.data_loader) is None or not trainer.accumulation_bounds()[1]:
        return None
    if not 0 < done < int(trainer.state.epoch_length):
        return None
    return {
        "batches": done,
        "mean_loss": trainer.mean_loss.state_dict(),
        # Of the processes of the run, by rank.
        "random": ranks().gather(_random_state(trainer.state.device)),
    }


def go_on_within_epoch(trainer: RadiographTrainer, state: dict[str, Any]) -> None:
    """Let the next epoch of a trainer begin behind the batches that it has done.

    Args:
        trainer: At its start, with everything else restored.
        state: From `state_within_epoch`.
    """
    batches = int(state["batches"])
    # Within an epoch, ignite counts on from here.
    trainer.state.iteration += batches
    drawn = drawn_by(trainer.data_loader)
    if drawn is None:
        return
    sampler, films = drawn

    def skip(_engine: Engine) -> None:
        sampler.first = batches * films

    def restore(_engine: Engine) -> None:
        # By now the loader has drawn its own seed from the random state.
        sampler.first = 0
        trainer.mean_loss.load_state_dict(state["mean_loss"])
        group = ranks()
        if len(state["random"]) == group.size:
            _restore_random(state["random"][group.rank], trainer.state.device)
        else:  # another number of processes: none of them has been there before
            begun = sampler.seed + sampler.epoch
            torch.manual_seed(seed_of_network(begun) + _SEEDS_BETWEEN_BATCHES * batches)

    trainer.add_event_handler(Events.EPOCH_STARTED(once=trainer.state.epoch + 1), skip)
    trainer.add_event_handler(Events.ITERATION_STARTED(once=trainer.state.iteration + 1), restore)


def _random_state(device: torch.device) -> dict[str, torch.Tensor | None]:
    cuda = device.type == "cuda"
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if cuda else None,
    }


def _restore_random(state: dict[str, torch.Tensor | None], device: torch.device) -> None:
    if state["cpu"] is not None:
        torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def _batches_done(trainer: RadiographTrainer) -> int:
    """Batches of the present epoch that are done."""
    return int(trainer.state.iteration) - (int(trainer.state.epoch) - 1) * int(
        trainer.state.epoch_length
    )
