"""A data set that reads each film once and augments it by the seed of the draw."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, Randomizable
from torch.utils.data import Dataset

from pipelines.errors import DatasetError, InputError, PlainfilmError, Reason, refusal_of
from pipelines.progress import progress
from pipelines.training.sampling import Draw

_LEVELS = np.float32(65535)
_NAMED_EXAMPLES = 3


class RadiographDataset(Dataset[dict[str, Any]]):
    """Films behind a chain of transforms; what comes before the first random one is kept in memory.

    Films are kept in one array, which loader processes share without copying: as 16-bit integers
    where random transforms follow, as they are where the whole chain is deterministic.

    Args:
        data: Items with `image` (path) and `label`.
        transform: A MONAI `Compose`; its deterministic head gives `image` as float32, 0 to 1, all
            of one shape. A chain without random transforms may give any values.
        keys: What an item hands to the network; the rest, patient groups among it, stays behind.
        cache_limit_gb: The largest cache; a data set that would need more is read anew each epoch.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Compose,
        *,
        keys: Sequence[str] = ("image", "label"),
        cache_limit_gb: float = 4.0,
    ) -> None:
        self.data = data
        self.keys = tuple(keys)
        self.transform = transform
        self.cache_limit_gb = cache_limit_gb
        parts = list(transform.transforms)
        first = next((i for i, t in enumerate(parts) if isinstance(t, Randomizable)), len(parts))
        self._head, self._tail = Compose(parts[:first]), Compose(parts[first:])
        # Half the memory for films that are still 0 to 1; what is past normalisation stays exact.
        self._levels = bool(self._tail.transforms)
        self._films: np.ndarray[Any, Any] | None = None
        self._read_once = False

    def __len__(self) -> int:
        """Return the number of films."""
        return len(self.data)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        """Load one film.

        Args:
            draw: An index with the seed of its augmentation, or a bare index (seed 0).

        Returns:
            `image`, a float32 tensor (channel, height, width), and the other keys.

        Raises:
            InputError: If the film cannot be read.
        """
        index, seed = draw if isinstance(draw, Draw) else Draw(draw, 0)
        item = self._prepared(index)
        # Reseeding the shared transforms is safe: a loader process runs one item at a time.
        self._tail.set_random_state(seed=seed)
        result = self._tail(item)
        return {key: result[key] for key in self.keys}

    def read_all(self) -> None:
        """Read every film once, so that what cannot be read is known before training starts.

        Raises:
            DatasetError: If films cannot be read; it names the first ones with their reasons.
        """  # noqa: DOC501 - `_refusal` makes the DatasetError
        if self._read_once:
            return
        lock = Lock()
        with ThreadPoolExecutor(max_workers=cpu_count()) as readers:
            outcomes = readers.map(lambda index: self._read(index, lock), range(len(self.data)))
            told = progress(outcomes, "reading", total=len(self.data))
            refused = [(index, error) for index, error in enumerate(told) if error is not None]
        if refused:
            self._films = None
            raise _refusal(self.data, refused)
        self._read_once = True

    def films(self) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        """Give every film as it is before the first random transform: float32, 0 to 1."""
        for index in range(len(self.data)):
            yield np.asarray(self._prepared(index)["image"], dtype=np.float32)

    def _read(self, index: int, lock: Lock) -> PlainfilmError | None:
        try:
            item = self._head(self.data[index])
        except Exception as error:  # noqa: BLE001 - MONAI wraps what a transform raises
            return refusal_of(error)
        pixels = np.asarray(item["image"], dtype=np.float32)
        with lock:
            if self._films is None and self._fits(pixels.size):
                kept = np.uint16 if self._levels else np.float32
                self._films = np.zeros((len(self.data), *pixels.shape), dtype=kept)
        if self._films is None:
            return None
        if self._films.shape[1:] != pixels.shape:
            return InputError(
                Reason.CONFIGURATION,
                f"expected all films of shape {self._films.shape[1:]}, got {pixels.shape}; resize "
                "them before the first random transform",
            )
        if self._levels and not (pixels.min() >= 0 and pixels.max() <= 1):
            return InputError(
                Reason.CONFIGURATION,
                f"expected films of 0 to 1 before the first random transform, got "
                f"{pixels.min():.3g} to {pixels.max():.3g}; normalise them behind it",
            )
        self._films[index] = np.rint(pixels * _LEVELS) if self._levels else pixels
        return None

    def _fits(self, samples: int) -> bool:
        size = 2 if self._levels else 4
        return len(self.data) * samples * size <= self.cache_limit_gb * 1e9

    def _prepared(self, index: int) -> dict[str, Any]:
        if self._films is None:
            result: dict[str, Any] = self._head(self.data[index])
            return result
        kept = self._films[index]
        image = torch.from_numpy(kept.astype(np.float32) / _LEVELS if self._levels else kept.copy())
        return {**self.data[index], "image": image}


def _refusal(
    data: Sequence[dict[str, Any]], refused: Sequence[tuple[int, PlainfilmError]]
) -> DatasetError:
    examples = "; ".join(
        f"{Path(data[index]['image']).name}: {error}" for index, error in refused[:_NAMED_EXAMPLES]
    )
    return DatasetError(
        refused[0][1].reason,
        f"expected every film to be readable, {len(refused)} of {len(data)} are not ({examples}); "
        "mend them or take them out",
    )
