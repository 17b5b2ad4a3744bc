"""Batches of films, made by processes that stay for the whole run."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader

from pipelines.training.dataset import RadiographDataset


class FilmLoader(DataLoader[dict[str, Any]]):
    """A `DataLoader` whose processes are started once a run and not once an epoch.

    They share the kept films with the run where the system can fork. Batches go to a GPU from
    memory that it reads by itself.

    Args:
        dataset: The films, best read beforehand by `read_all`.
        batch_size: Films in a batch.
        num_workers: Processes that make batches; 0 makes them in between, in the run's own.
        sampler: Which film is drawn when; None takes them in order.
    """

    def __init__(
        self,
        dataset: RadiographDataset,
        *,
        batch_size: int,
        num_workers: int = 0,
        sampler: Iterable[Any] | None = None,
    ) -> None:
        super().__init__(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Of its own: dropout must not depend on how often loaders are started.
            generator=torch.Generator(),
        )
