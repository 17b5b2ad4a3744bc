"""Batches of films, made by processes that stay for the whole run."""

import math
import os
import signal
import threading
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader

from pipelines.errors import ConfigurationError, Reason
from pipelines.training.dataset import RadiographDataset
from pipelines.training.ranks import ranks
from pipelines.training.sampling import EpochSampler, RankBatches, RankFilms


class FilmLoader(DataLoader[dict[str, Any]]):
    """A `DataLoader` whose processes are started once a run and not once an epoch.

    They share the kept films with the run where the system can fork. Batches go to a GPU from
    memory that it reads by itself. Where several processes train together each has its part of
    every batch, or without a sampler its part of the films.

    Args:
        dataset: The films, best read beforehand by `read_all`.
        batch_size: Films in a batch, of all processes together.
        num_workers: Processes that make batches; 0 makes them in between, in the run's own.
        sampler: Which film is drawn when; None takes them in order.

    Raises:
        ConfigurationError: If several processes cannot share the batches, or what the sampler
            draws.
    """

    def __init__(
        self,
        dataset: RadiographDataset,
        *,
        batch_size: int,
        num_workers: int = 0,
        sampler: Iterable[Any] | None = None,
    ) -> None:
        order: dict[str, Any] = {"batch_size": batch_size, "sampler": sampler}
        group = ranks()
        if 1 <= batch_size < group.size:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a batch_size of at least a film for each of {group.size} processes, got "
                f"{batch_size}; raise it, or train on fewer devices",
            )
        if not group.alone and isinstance(sampler, EpochSampler):
            parts = RankBatches(sampler, batch_size=batch_size, group=group)
            order = {"batch_sampler": parts}
        elif not group.alone and sampler is not None:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected an EpochSampler for {group.size} processes, got "
                f"{type(sampler).__name__}; train on one device",
            )
        elif not group.alone:
            films = RankFilms(len(dataset), group=group)
            order = {"batch_size": math.ceil(batch_size / group.size), "sampler": films}
        super().__init__(
            dataset,
            **order,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            worker_init_fn=_heed_the_run_alone,
            pin_memory=torch.cuda.is_available(),
            # Of its own: dropout must not depend on how often loaders are started.
            generator=torch.Generator(),
        )


def _heed_the_run_alone(worker: int) -> None:
    """Let SIGTERM end this process of a loader only where it comes from the run itself.

    Batch systems and terminals send it to all processes of a run. Those that end at once would take
    from the run what it needs to come to its checkpoint; see `stopping`.
    """
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_by_parent, name=f"end-{worker}", daemon=True).start()


def _end_by_parent() -> None:
    parent = os.getppid()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
