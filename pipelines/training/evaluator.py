"""The evaluator: MONAI's SupervisedEvaluator, remembering what it said of each film."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric
from monai.engines import SupervisedEvaluator
from monai.inferers import Inferer
from monai.utils import CommonKeys
from torch import nn

from pipelines.networks.device import autocast, pick_device
from pipelines.training.metrics import FAMILIES, Family, build_metric, family_of
from pipelines.training.ranks import in_turn, ranks
from pipelines.training.sampling import RankFilms
from pipelines.training.trainer import Handler
from pipelines.training.waiting import Waiting


class NotWorse:
    """Compares a key metric with the highest one seen.

    Attributes:
        tolerance: How far below it a later value may be and still win; 0 asks for more than it.
        highest: The highest value seen.
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.highest = float("-inf")

    def __call__(self, current: float, best: float) -> bool:
        """Return whether `current` makes its epoch the best one."""
        self.highest = max(self.highest, best)
        wins = current > self.highest - self.tolerance
        self.highest = max(self.highest, current)
        return wins


class RadiographEvaluator(SupervisedEvaluator):
    """Run a network over labelled films; of several processes each over its part of them.

    Attributes:
        logits: One logit a film, or a list of one for each class, in the order of the data, after
            a run of a classifier; other answers are too large to keep and leave it empty. After
            the run every process has those of all films.
        labels: One label a film.
        waiting: How long it waited for films in its last run.
    """

    use_amp: bool
    remembers: bool
    logits: list[Any]
    labels: list[int]
    waiting: Waiting

    def _iteration(
        self, engine: "RadiographEvaluator", batchdata: dict[str, Any]
    ) -> dict[str, Any]:
        device = engine.state.device
        images = batchdata[CommonKeys.IMAGE].to(device, memory_format=torch.channels_last)
        labels = batchdata[CommonKeys.LABEL].to(device)
        predictions = engine.answer(images)
        if engine.stands_in:
            images, labels, predictions = (each[:0] for each in (images, labels, predictions))
        elif engine.remembers:
            single = predictions[0].numel() == 1
            self.logits.extend((predictions.reshape(-1) if single else predictions).tolist())
            self.labels.extend(labels.reshape(-1).tolist())
        return {
            CommonKeys.IMAGE: images,
            CommonKeys.LABEL: labels,
            CommonKeys.PRED: predictions,
        }

    @property
    def stands_in(self) -> bool:
        """Whether there are too few films for this process: what it has does not count."""
        sampler = getattr(self.data_loader, "sampler", None)
        return isinstance(sampler, RankFilms) and sampler.stand_in

    def answer(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the network says of films, as it does in a run.

        Args:
            images: (batch, channel, height, width), on any device.
        """
        device = self.state.device
        self.network.eval()
        films = images.to(device, memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(device, enabled=self.use_amp):
            answer: torch.Tensor = self.inferer(films, self.network).float()
        return answer


def build_evaluator(
    *,
    device: torch.device | str,
    network: nn.Module,
    val_data_loader: Iterable[dict[str, Any]],
    inferer: Inferer | None = None,
    key_val_metric: Mapping[str, Metric] | None = None,
    val_handlers: Sequence[Handler] = (),
    key_metric_tolerance: float = 0.0,
    amp: bool = True,
) -> RadiographEvaluator:
    """Build the evaluator of a bundle; keywords are those of MONAI's `SupervisedEvaluator`.

    Args:
        device: Where to run, as `pick_device` takes it.
        network: The network, already on `device`.
        val_data_loader: Batches with `image` (batch, channel, height, width) and `label`, in the
            order of the data.
        inferer: How the network is called; MONAI's `SimpleInferer` by default.
        key_val_metric: One metric by its name, which chooses the best epoch (higher is better).
        val_handlers: Handlers to attach.
        key_metric_tolerance: A later epoch counts as the best one if its key metric is at most this
            much below the highest seen. Where a metric is near its ceiling its maximum is luck,
            and later epochs, at a lower learning rate, generalise better. 0 takes the first
            maximum.
        amp: Use the device's half precision where it has one.

    Returns:
        An evaluator; `run()` fills `state.metrics` with the key metric and, as `val_<name>`, all
        others of its family in `pipelines.training.metrics`.
    """
    key = dict(key_val_metric or {"val_auroc": build_metric("auroc")})
    family = family_of(next(iter(key)))
    names = [] if family is None else FAMILIES[family]
    others = {f"val_{name}": build_metric(name) for name in names if f"val_{name}" not in key}
    evaluator = RadiographEvaluator(
        device=pick_device(device),
        val_data_loader=val_data_loader,
        network=network,
        inferer=inferer,
        key_val_metric=key,
        additional_metrics=others,
        metric_cmp_fn=NotWorse(key_metric_tolerance),
        decollate=False,
    )
    evaluator.use_amp = amp
    evaluator.remembers = family is Family.CLASSIFICATION
    _forget(evaluator)
    evaluator.add_event_handler(Events.STARTED, _forget)
    evaluator.add_event_handler(Events.EPOCH_COMPLETED, _put_together)
    evaluator.waiting = Waiting()
    evaluator.waiting.attach(evaluator)
    for handler in val_handlers:
        handler.attach(evaluator)
    return evaluator


def _forget(engine: Engine) -> None:
    engine.logits, engine.labels = [], []


def _put_together(engine: Engine) -> None:
    """Let each process have what was said of every film, in the order of the data."""
    parts = ranks().gather((engine.logits, engine.labels))
    engine.logits, engine.labels = (in_turn([part[side] for part in parts]) for side in (0, 1))
