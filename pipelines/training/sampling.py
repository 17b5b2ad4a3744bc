"""Which film is drawn when: a pure function of seed, epoch and place in the epoch.

Nothing random is kept between epochs, so a run that was killed and goes on from its last epoch
draws the same films with the same augmentation as one that was never disturbed, whatever the number
of loader processes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from torch.utils.data import DataLoader, Sampler

from pipelines.training.ranks import Ranks

Places: TypeAlias = npt.NDArray[np.int64]
"""Places of films in the data set."""


class Draw(NamedTuple):
    """One film to load.

    Attributes:
        film: Place of the film in the data set.
        seed: Seed of the random transforms for this draw.
    """

    film: int
    seed: int


class EpochSampler(Sampler[Draw]):
    """Draw an epoch of films, each with the seed of its augmentation.

    Args:
        data: The items; each has a `label` (int) where classes are balanced.
        balance: `classes` draws each class equally often, with replacement, in an epoch as long as
            the data; `none` draws every film once.
        weights: Gives one weight a film, such as `LookWeights`; films are then drawn in
            proportion, whatever `balance` says.
        seed: Seed of the run.

    Attributes:
        epoch: Number of the epoch that is drawn.
        first: Draws of it that are left out: those before which the run was told to end.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        *,
        balance: Literal["classes", "none"] = "classes",
        weights: Callable[[], npt.NDArray[np.float64]] | None = None,
        seed: int = 0,
    ) -> None:
        self.films = len(data)
        # Masks are labels too, and no numbers: they are looked at only where classes count.
        by_class = balance == "classes" and weights is None
        self.labels = np.array([int(item["label"]) for item in data if by_class], dtype=np.int64)
        self.balance = balance
        self.weights = weights
        self.seed = seed
        self.epoch = 0
        self.first = 0

    def __len__(self) -> int:
        """Return the number of draws in a whole epoch."""
        return self.films

    def __iter__(self) -> Iterator[Draw]:
        """Draw the epoch numbered `self.epoch`, from its draw `self.first` on."""
        random = np.random.default_rng([self.seed, self.epoch])
        count = self.films
        order = self._order(random) if count else np.arange(0)
        seeds = random.integers(0, 2**32, size=count, dtype=np.uint64)
        draws = [Draw(int(i), int(s)) for i, s in zip(order, seeds, strict=True)]
        return iter(draws[self.first :])

    def _order(self, random: np.random.Generator) -> Places:
        if self.weights is not None:
            return _proportional(self.weights(), random)
        if self.balance == "classes":
            return self._balanced(random)
        return random.permutation(self.films)

    def _balanced(self, random: np.random.Generator) -> Places:
        """Repeat each class in shuffled rounds, so that no film of it is drawn twice as often."""
        classes = np.unique(self.labels)
        share = [len(part) for part in np.array_split(self.labels, len(classes))]
        drawn = []
        for label, wanted in zip(random.permutation(classes), share, strict=True):
            films = np.flatnonzero(self.labels == label)
            rounds = -(-wanted // len(films))
            drawn.append(
                np.concatenate([random.permutation(films) for _ in range(rounds)])[:wanted]
            )
        return random.permutation(np.concatenate(drawn))


def _proportional(weights: npt.NDArray[np.float64], random: np.random.Generator) -> Places:
    """Draw as many films as there are; each as often as its weight says, rounded up or down.

    Systematic resampling: one random offset for all draws, over films in random order.
    """
    count = len(weights)
    order = random.permutation(count)
    expected = np.cumsum(weights[order]) * (count / weights.sum())
    places = np.searchsorted(expected, np.arange(count) + random.random())
    return random.permutation(order[np.minimum(places, count - 1)])


class RankBatches(Sampler[list[Draw]]):
    """The batches of one of several processes: of each batch of the run every N-th film.

    All together draw what one process would, in the same steps. A process that has no film in a
    last, small batch takes one of another's, which its `share` counts for nothing: it has to take
    part in the step.

    Args:
        sampler: Draws the epochs of the run.
        batch_size: Films in a batch of the whole run.
        group: The processes.
    """

    def __init__(self, sampler: EpochSampler, *, batch_size: int, group: Ranks) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.group = group

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch, the same for every process."""
        return math.ceil(len(self.sampler) / self.batch_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Draw this process's part of each batch of the epoch."""
        draws = list(self.sampler)
        for start in range(0, len(draws), self.batch_size):
            batch = draws[start : start + self.batch_size]
            yield batch[self.group.rank :: self.group.size] or batch[-1:]

    def share(self, place: int) -> float:
        """Return which part of a batch's films this process has.

        Args:
            place: Of the batch in its epoch, from 0.

        Returns:
            0 to 1; over the processes they sum to 1.
        """
        films = min(self.batch_size, len(self.sampler) - place * self.batch_size)
        return len(range(self.group.rank, films, self.group.size)) / films


class RankFilms(Sampler[int]):
    """The films of one of several processes, each film once over all of them: every N-th.

    Args:
        films: Number of films.
        group: The processes.

    Attributes:
        stand_in: Whether there are too few films for this process. It then has the first one,
            which does not count, so that it takes part in what all do.
    """

    def __init__(self, films: int, *, group: Ranks) -> None:
        own = [*range(group.rank, films, group.size)]
        self.stand_in = not own and films > 0
        self._places = [0] if self.stand_in else own

    def __len__(self) -> int:
        """Return the number of films of this process."""
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        """Give the places of the films."""
        return iter(self._places)


def drawn_by(loader: object) -> tuple[EpochSampler, int] | None:
    """Return what draws the epochs of a loader, and the films in a batch of the whole run.

    Args:
        loader: Any; None is returned where films are not drawn by an `EpochSampler`.
    """
    batches = loader.batch_sampler if isinstance(loader, DataLoader) else None
    sampler = getattr(batches, "sampler", None)
    if batches is None or not isinstance(sampler, EpochSampler):
        return None
    return sampler, int(getattr(batches, "batch_size"))  # noqa: B009 - not every sampler has it
