"""The trainer: MONAI's SupervisedTrainer, made fit for long runs on any device."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents, default_metric_cmp_fn
from monai.handlers import ValidationHandler
from monai.inferers import Inferer
from monai.utils import CommonKeys
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.networks.device import autocast, autocast_dtype, pick_device, trains_quicker_in_half
from pipelines.training.memory import keep_memory
from pipelines.training.ranks import ranks
from pipelines.training.replicas import (
    average_statistics,
    replicate,
    share_state,
    with_shared_norms,
    without_exchange,
)
from pipelines.training.run_mean import RunMean
from pipelines.training.sampling import RankBatches, drawn_by
from pipelines.training.schedule import Schedule
from pipelines.training.waiting import Waiting

_SEEDS_BETWEEN_RANKS = 1_000_003


class Handler(Protocol):
    """What can be attached to an engine."""

    def attach(self, engine: Engine) -> None:
        """Register for the engine's events."""


class RadiographTrainer(SupervisedTrainer):
    """Train one network on batches of films.

    Against its base: autocast on any device that has a half precision, channels_last layout,
    gradient clipping, a learning rate by progress, averaged weights, a clock of the time without
    films, an end with a plain error when the loss is not finite, and one network in several
    processes. Built by `build_trainer`.
    """

    lr_scheduler: Schedule | None
    average: AveragedModel | None
    max_grad_norm: float | None
    grad_norm: float
    mean_loss: RunMean
    replica: nn.Module | None
    use_amp: bool
    loss_scaler: torch.amp.GradScaler
    waiting: Waiting

    def _iteration(self, engine: "RadiographTrainer", batchdata: dict[str, Any]) -> dict[str, Any]:
        device = engine.state.device
        images = batchdata[CommonKeys.IMAGE].to(device, memory_format=torch.channels_last)
        labels = batchdata[CommonKeys.LABEL].to(device)
        replica = engine.replicated(images, labels)
        replica.train()
        if engine.lr_scheduler is not None:
            engine.lr_scheduler.update((engine.state.iteration - 1) / engine.total_iterations)
        starts, steps = engine.accumulation_bounds()
        if starts:
            engine.optimizer.zero_grad(set_to_none=True)
        share = engine.share_of_batch()
        with without_exchange(replica, now=not steps):
            with autocast(device, enabled=engine.use_amp):
                predictions = engine.inferer(images, replica)
                loss = engine.loss_function(predictions, labels)
            counted = loss if share is None else loss * (share * ranks().size)
            engine.loss_scaler.scale(counted / engine.accumulation_steps).backward()
        output = {
            CommonKeys.IMAGE: images,
            CommonKeys.LABEL: labels,
            CommonKeys.PRED: predictions.detach(),
        }
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        # Asked for last: until here a GPU is given work without waiting for what it answers.
        value = loss.item()
        output[CommonKeys.LOSS] = value if share is None else ranks().total([value * share])[0]
        engine.require_finite(output[CommonKeys.LOSS])
        if steps:
            engine.step()
        return output

    @property
    def total_iterations(self) -> int:
        """Number of iterations in the whole run."""
        return max(1, int(self.state.max_epochs) * int(self.state.epoch_length))

    def replicated(self, images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
        """Return the network as it is called in training: of several processes, all train it.

        Args:
            images: A batch.
            labels: Of the batch.
        """

        def try_loss() -> torch.Tensor:
            with autocast(self.state.device, enabled=self.use_amp):
                predictions = self.inferer(images[:1], self.network)
                loss: torch.Tensor = self.loss_function(predictions, labels[:1])
                return loss

        if self.replica is None:
            self.replica = replicate(self.network, try_loss)
        return self.replica

    def share_of_batch(self) -> float | None:
        """Return which part of the films of this iteration's batch this process has.

        The mean of the gradients of all processes, each weighed by it, is that of the whole batch.

        Returns:
            0 to 1; None where there is one process.
        """
        batches = getattr(self.data_loader, "batch_sampler", None)
        if not isinstance(batches, RankBatches):
            return None
        return batches.share((self.state.iteration - 1) % self.state.epoch_length)

    def accumulation_bounds(self) -> tuple[bool, bool]:
        """Return whether this iteration starts an accumulation, and whether it ends one."""
        place = (self.state.iteration - 1) % self.state.epoch_length
        last = place + 1 == self.state.epoch_length
        return place % self.accumulation_steps == 0, (
            last or (place + 1) % self.accumulation_steps == 0
        )

    def step(self) -> None:
        """Clip the gradient, change the weights, and let the average follow."""
        self.loss_scaler.unscale_(self.optimizer)
        limit = float("inf") if self.max_grad_norm is None else self.max_grad_norm
        self.grad_norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), limit))
        self.loss_scaler.step(self.optimizer)
        self.loss_scaler.update()
        average_statistics(self.network)
        if self.average is not None:
            self.average.update_parameters(self.network)

    def require_finite(self, loss: float) -> None:
        """Stop a run whose loss has become infinite or not a number.

        Raises:
            RunError: If `loss` is not finite.
        """
        if loss != loss or abs(loss) == float("inf"):  # noqa: PLR0124 - not a number
            raise RunError(
                Reason.NOT_FINITE,
                f"expected a finite loss, got {loss} in epoch {self.state.epoch}, iteration "
                f"{self.state.iteration}; lower the learning rate, or set amp=false",
            )


def build_trainer(  # noqa: PLR0913 - the keywords of MONAI's trainer
    max_epochs: int,
    *,
    device: torch.device | str,
    network: nn.Module,
    optimizer: Optimizer,
    loss_function: nn.Module,
    train_data_loader: Iterable[dict[str, Any]],
    inferer: Inferer | None = None,
    key_train_metric: dict[str, Metric] | None = None,
    train_handlers: Sequence[Handler] = (),
    lr_scheduler: Schedule | None = None,
    average: AveragedModel | None = None,
    amp: bool = True,
    accumulation_steps: int = 1,
    max_grad_norm: float | None = 1.0,
    sync_batch_norm: bool = True,
) -> RadiographTrainer:
    """Build the trainer of a bundle; keywords are those of MONAI's `SupervisedTrainer`.

    Args:
        max_epochs: Number of epochs.
        device: Where to train, as `pick_device` takes it.
        network: The network, already on `device`.
        optimizer: Optimizer of its parameters.
        loss_function: Loss of (predictions, labels).
        train_data_loader: Batches with `image` (batch, channel, height, width) and `label`.
        inferer: How the network is called; MONAI's `SimpleInferer` by default.
        key_train_metric: A metric over the training films.
        train_handlers: Handlers to attach, in this order.
        lr_scheduler: Learning rate by progress or by validation; None keeps it constant.
        average: Averaged weights, from `build_average`.
        amp: Use the device's half precision where it has one and the network trains quicker in it.
        accumulation_steps: Batches over which gradients are summed before a step.
        max_grad_norm: Gradients are clipped to this norm; None leaves them.
        sync_batch_norm: Of several processes on GPUs: take means over the whole batch in batch
            norm, as one process does, and not over each process's part of it.

    Returns:
        A trainer; `run()` trains. Its `state.metrics` holds `train_loss`, the epoch's mean.

    Raises:
        ConfigurationError: If a number is below 1.
    """
    if max_epochs < 1 or accumulation_steps < 1:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected max_epochs and accumulation_steps of at least 1, got "
            f"{max_epochs} and {accumulation_steps}",
        )
    device = pick_device(device)
    network = with_shared_norms(network, wanted=sync_batch_norm)
    trainer = RadiographTrainer(
        device=device,
        max_epochs=max_epochs,
        train_data_loader=train_data_loader,
        network=network,
        optimizer=optimizer,
        loss_function=loss_function,
        inferer=inferer,
        key_train_metric=key_train_metric,
        metric_cmp_fn=default_metric_cmp_fn,
        decollate=False,
        accumulation_steps=accumulation_steps,
    )
    half = amp and autocast_dtype(device) == torch.float16
    trainer.loss_scaler = torch.amp.GradScaler(device.type, enabled=half)
    trainer.use_amp = amp and trains_quicker_in_half(network, device)
    trainer.lr_scheduler = lr_scheduler
    trainer.replica = None
    trainer.average = average
    if average is not None:
        share_state(average)
    trainer.max_grad_norm = max_grad_norm
    trainer.grad_norm = float("nan")
    trainer.mean_loss = RunMean(output_transform=_loss_of)
    trainer.mean_loss.attach(trainer, "train_loss")
    trainer.add_event_handler(Events.EPOCH_STARTED, _start_epoch)
    if device.type == "cpu":
        trainer.add_event_handler(Events.STARTED, keep_memory)
    trainer.waiting = Waiting()
    trainer.waiting.attach(trainer)
    for handler in train_handlers:
        handler.attach(trainer)
        if isinstance(handler, ValidationHandler):
            _follow_validation(trainer, handler, lr_scheduler)
    return trainer


def _follow_validation(
    trainer: RadiographTrainer, handler: ValidationHandler, schedule: Schedule | None
) -> None:
    """Validate the last epoch whatever the interval, and tell the schedule of each validation.

    Behind the handler that validates, before what saves its consequences.
    """
    trainer.add_event_handler(Events.EPOCH_COMPLETED, _validate_last, handler)
    if schedule is not None:
        trainer.add_event_handler(
            Events.EPOCH_COMPLETED, _tell_schedule, handler.validator, schedule
        )


def _validate_last(engine: Engine, handler: ValidationHandler) -> None:
    epoch = engine.state.epoch
    if epoch == engine.state.max_epochs and epoch % handler.interval:
        handler.validator.run(epoch)


def _tell_schedule(engine: Engine, evaluator: Engine, schedule: Schedule) -> None:
    if evaluator.state.epoch != engine.state.epoch:
        return
    metrics = evaluator.state.metrics
    schedule.validated({k: float(v) for k, v in metrics.items() if isinstance(v, int | float)})


def _loss_of(output: dict[str, Any]) -> float:
    return float(output[CommonKeys.LOSS])


def _start_epoch(engine: Engine) -> None:
    """Tie everything random in an epoch to the run's seed and the epoch's number."""
    drawn = drawn_by(engine.data_loader)
    if drawn is not None:
        sampler, _ = drawn
        sampler.epoch = engine.state.epoch
        torch.manual_seed(seed_of_network(sampler.seed + engine.state.epoch))


def seed_of_network(seed: int) -> int:
    """Return the seed of this process's dropout: each of several drops other parts.

    Args:
        seed: What the seed would be of one process.
    """
    return seed + _SEEDS_BETWEEN_RANKS * ranks().rank
