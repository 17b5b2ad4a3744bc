"""A data set that reads each film once and augments it by the seed of the draw."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, Randomizable
from torch.utils.data import Dataset

from pipelines.errors import DatasetError, InputError, PlainfilmError, Reason, refusal_of
from pipelines.networks.device import usable_cores
from pipelines.progress import progress
from pipelines.training.film_cache import Arrays, FilmCache
from pipelines.training.ranks import ranks
from pipelines.training.sampling import Draw
from pipelines.training.shared_films import make_shared, open_shared, own_places, places_of

_LEVELS = np.float32(65535)
# The mean of white pixels may round to 1e-7 above 1, which vanishes in 16 bits.
_ROUNDING = 1e-6
_NAMED_EXAMPLES = 3


class RadiographDataset(Dataset[dict[str, Any]]):
    """Films behind a chain of transforms; what comes before the first random one is kept in memory.

    So is what comes before a transform that says of itself `makes_larger`, such as one that unpacks
    masks. Each key's arrays are kept in one, which loader processes share without copying: films as
    16-bit integers where random transforms follow, as they are where the whole chain is
    deterministic; masks and other arrays that the head makes as they are. Where several processes
    train together, those of one machine share them, and each reads its part.

    Args:
        data: Items with `image` (path) and `label` (a class, or where masks are).
        transform: A MONAI `Compose`; its deterministic head gives `image` as float32, 0 to 1, all
            of one shape, and may make an array of `label`. A chain without random transforms may
            give any values.
        keys: What an item hands to the network; the rest, patient groups among it, stays behind.
        cache_limit_gb: The largest cache in memory; a data set that would need more is read anew
            each epoch.
        cache_dir: Folder to keep prepared films in instead of memory, for data sets beyond it and
            for the next run; None keeps nothing on disk.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Compose,
        *,
        keys: Sequence[str] = ("image", "label"),
        cache_limit_gb: float = 4.0,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.data = data
        self.keys = tuple(keys)
        self.transform = transform
        self.cache_limit_gb = cache_limit_gb
        parts = list(transform.transforms)
        first = next((i for i, t in enumerate(parts) if _is_done_anew(t)), len(parts))
        self._head, self._tail = Compose(parts[:first]), parts[first:]
        # One stream for the whole chain: seeding one a transform takes longer than some of them.
        self._random = np.random.RandomState(0)
        # Half the memory for films that are still 0 to 1; what is past normalisation stays exact.
        self._levels = any(isinstance(part, Randomizable) for part in parts)
        self._cache = None
        if cache_dir is not None:
            # Machines that share a disk do not write the same files.
            leader = ranks().leader
            folder = Path(cache_dir, f"from-rank-{leader}") if leader else cache_dir
            self._cache = FilmCache(folder, data, parts[:first])
        self._kept: Arrays | None = None
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
        self._random.seed(seed)
        for transform in self._tail:
            if isinstance(transform, Randomizable):
                transform.set_random_state(state=self._random)
            item = transform(item)
        return {key: item[key] for key in self.keys}

    def read_all(self) -> None:
        """Read every film once, so that what cannot be read is known before training starts.

        Raises:
            DatasetError: If films cannot be read; it names the first ones with their reasons.
        """  # noqa: DOC501 - `_refusal` makes the DatasetError
        if self._read_once:
            return
        group = ranks()
        found = self._found_on_disk() if group.alone else self._find_together()
        refused = [] if found else self._read_places(own_places(len(self.data), group))
        told = [each for part in group.gather(refused) for each in part]
        if told:
            self._kept = None
            if self._cache is not None:
                self._cache.discard()
            raise _refusal(self.data, dict(sorted(told, key=lambda each: each[0])))
        leads = group.local_rank == 0 and not found
        if leads and self._cache is not None and self._kept is not None:
            self._cache.complete(self._kept)
        self._read_once = True

    def _find_together(self) -> bool:
        """Find films on disk or make room for them, once for all processes of this machine.

        Returns:
            Whether they are there.
        """
        group = ranks()
        leads = group.local_rank == 0
        found = leads and self._found_on_disk()
        with ExitStack() as named:
            if leads and not found:
                self._make_shared_room(named)
            places = places_of(self._kept or {}) if leads else {}
            found, places = group.gather((found, places))[group.leader]
            if not leads and found:
                found = self._found_on_disk()
            elif not leads:
                self._kept = open_shared(places) or None
            group.wait()
        return found

    def _make_shared_room(self, named: ExitStack) -> None:
        """Make room for films like the first one that can be read, as soon as there is one."""
        for item in self.data:
            try:
                first = self._arrays(self._head(item))
            except Exception:  # noqa: BLE001 - reading it says what is wrong
                continue
            self._kept = self._make_room(first, named)
            return

    def _read_places(self, places: range) -> list[tuple[int, PlainfilmError]]:
        """Read these films; return those that cannot be read, with the reason of each."""
        lock = Lock()
        workers = max(1, usable_cores() // ranks().local_size)
        with ThreadPoolExecutor(max_workers=workers) as readers:
            outcomes = readers.map(lambda index: self._read(index, lock), places)
            doing = "reading" if ranks().alone else "reading a part"
            told = progress(outcomes, doing, total=len(places))
            return [
                (index, error)
                for index, error in zip(places, told, strict=True)
                if error is not None
            ]

    def films(self) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        """Give every film as it is before the first random transform: float32, 0 to 1."""
        for index in range(len(self.data)):
            yield np.asarray(self._prepared(index)["image"], dtype=np.float32)

    def plain(self) -> Iterator[torch.Tensor]:
        """Give every film as the network sees it without augmentation."""
        still = Compose([part for part in self._tail if not _is_done_anew(part)])
        for index in range(len(self.data)):
            yield still(self._prepared(index))["image"]

    def _read(self, index: int, lock: Lock) -> PlainfilmError | None:
        try:
            item = self._head(self.data[index])
        except Exception as error:  # noqa: BLE001 - MONAI wraps what a transform raises
            return refusal_of(error)
        lowest, highest = float(item["image"].min()), float(item["image"].max())
        if self._levels and not (lowest >= -_ROUNDING and highest <= 1 + _ROUNDING):
            return InputError(
                Reason.CONFIGURATION,
                f"expected films of 0 to 1 before the first random transform, got "
                f"{lowest:.3g} to {highest:.3g}; normalise them behind it",
            )
        arrays = self._arrays(item)
        with lock:
            if self._kept is None and ranks().alone:
                self._kept = self._make_room(arrays)
        if self._kept is None:
            return None
        for key, array in arrays.items():
            if self._kept[key].shape[1:] != array.shape:
                return InputError(
                    Reason.CONFIGURATION,
                    f"expected every {key} of shape {self._kept[key].shape[1:]}, got "
                    f"{array.shape}; resize them before the first random transform",
                )
            self._kept[key][index] = array
        return None

    def _arrays(self, item: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """What is kept of a prepared item: the film as it is stored, other arrays as they are."""
        film = np.asarray(item["image"], dtype=np.float32)
        others = {key: item[key] for key in self.keys if key != "image"}
        arrays = {
            key: np.asarray(value)
            for key, value in others.items()
            if isinstance(value, np.ndarray | torch.Tensor)
        }
        if not self._levels:
            return {"image": film, **arrays}
        return {"image": np.rint(film * _LEVELS).astype(np.uint16), **arrays}

    def _make_room(self, first: Arrays, named: ExitStack | None = None) -> Arrays | None:
        """Make arrays for all films like the first one, or None where they would be too large.

        Those that processes share have names until `named` is closed.
        """
        count = len(self.data)
        if self._cache is not None:
            return self._cache.create(first, count)
        if count * sum(array.nbytes for array in first.values()) > self.cache_limit_gb * 1e9:
            return None
        if named is not None:
            return make_shared(first, count, named=named)
        return {key: np.zeros((count, *array.shape), array.dtype) for key, array in first.items()}

    def _found_on_disk(self) -> bool:
        if self._cache is None or not self.data:
            return False
        try:
            first = self._arrays(self._head(self.data[0]))
        except Exception:  # noqa: BLE001 - reading all of them says what is wrong
            return False
        self._kept = self._cache.find(first)
        return self._kept is not None

    def _prepared(self, index: int) -> dict[str, Any]:
        if self._kept is None:
            result: dict[str, Any] = self._head(self.data[index])
            return result
        kept = {key: torch.from_numpy(arrays[index].copy()) for key, arrays in self._kept.items()}
        if self._levels:
            levels = self._kept["image"][index]
            kept["image"] = torch.from_numpy(levels.astype(np.float32) / _LEVELS)
        return {**self.data[index], **kept}


def _is_done_anew(transform: object) -> bool:
    return isinstance(transform, Randomizable) or getattr(transform, "makes_larger", False)


def _refusal(data: Sequence[dict[str, Any]], refused: Mapping[int, PlainfilmError]) -> DatasetError:
    examples = "; ".join(
        f"{Path(data[index]['image']).name}: {refused[index]}"
        for index in [*refused][:_NAMED_EXAMPLES]
    )
    return DatasetError(
        next(iter(refused.values())).reason,
        f"expected every film to be readable, {len(refused)} of {len(data)} are not ({examples}); "
        "mend them or take them out",
    )
