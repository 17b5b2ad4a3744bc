"""The input of a batch: a folder, a list or a bucket of films, looked through when first needed."""

import logging
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.journal import JOURNAL_NAME, is_output
from pipelines.inference.prepared import PreparedFilm
from pipelines.ingest.collect import Collection, Item, collect, collect_from
from pipelines.ingest.guard import guard_input
from pipelines.ingest.inputs import Inputs, listed_inputs, stored_inputs
from pipelines.ingest.lists import STDIN, is_list
from pipelines.ingest.objects import ObjectStore, scheme_of
from pipelines.ingest.shard import Shard, shard_of
from pipelines.radiograph import Radiograph
from pipelines.unfinished import scratch_until_end

Transform: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A chain that takes `{"image": path or radiograph, "frame": n}` and gives `image` as a tensor."""

FETCHED = ".fetched"
"""Folder in an output for what is fetched from a store."""

_log = logging.getLogger(__name__)


class RadiographFolder:
    """The films of a folder, prepared for a network when they are asked for.

    Constructing it touches no file, so a configuration can be instantiated and checked without its
    data.

    Args:
        data: Folder, looked through with everything below it, or one file; a list of films (`-` for
            standard input, or a path that ends in `.txt`, `.csv` or `.parquet`); or a URL, such as
            `s3://bucket/films/`. Objects are fetched one at a time into the folder `exclude`.
        transform: Reads and prepares one film.
        exclude: Folder whose files are no inputs although it lies inside `data`: the output.
        shard: Take a share of the films alone, `INDEX/COUNT` with an index from 0; see `Shard`.

    Folders below `data` that hold the journal of an earlier prediction are passed over too, since
    their contact sheet would be taken for a film; a warning names each.
    """

    def __init__(
        self,
        data: str | Path,
        transform: Transform,
        *,
        exclude: str | Path | None = None,
        shard: str | None = None,
    ) -> None:
        self._data = str(data).removeprefix("file://")
        self._exclude = None if exclude is None else Path(exclude)
        self._stores: dict[str, ObjectStore] = {}
        self.shard = None if shard is None else Shard.parse(shard)
        self.transform = transform

    @cached_property
    def collection(self) -> Collection:
        """What the folder holds.

        Raises:
            ConfigurationError: If there is no such folder, nothing in it, or it is an output.
        """
        found = self._collect_elsewhere() if self.is_elsewhere else self._collect_folder()
        # A share of few films may be empty; what all shares are of may not.
        if not (found.inputs if found.listing is None else found.listing.count):
            raise ConfigurationError(
                Reason.DATASET_LAYOUT,
                f"expected at least one file in the input {Path(self._data).name!r}, got none; "
                "check the path",
            )
        return found

    @cached_property
    def is_elsewhere(self) -> bool:
        """Whether the films are those of a list or a store, not of a folder."""
        if scheme_of(self._data) is not None:
            return True
        return is_list(self._data) and not Path(self._data).is_dir()

    @property
    def root(self) -> Path:
        """The folder or file, absolute."""
        return Path(self._data).resolve()

    @property
    def identity(self) -> str:
        """Tells this input from others: a path, a URL, or the folder where a list is read from."""
        if scheme_of(self._data) is not None:
            return self._data.rstrip("/")
        return f"{STDIN} in {Path.cwd()}" if self._data == STDIN else str(self.root)

    def _collect_folder(self) -> Collection:
        self._refuse_output()
        return collect(
            Path(self._data),
            passes_over=self._passes_over,
            shard=self.shard,
            show_progress=True,
        )

    def _collect_elsewhere(self) -> Collection:
        if scheme_of(self._data) is None:
            entries, self._stores = listed_inputs(self._data)
        else:
            entries, self._stores = stored_inputs(self._data, JOURNAL_NAME)
        source = Inputs(entries, self._stores, scratch=self._scratch, shard=self.shard)
        return collect_from(source, Path(self._data), shard=self.shard, show_progress=True)

    @cached_property
    def _scratch(self) -> Path:
        """An empty folder for what is fetched; what a killed run left there is removed."""
        if self._exclude is None:
            return scratch_until_end()
        shutil.rmtree(self._exclude / FETCHED, ignore_errors=True)
        (self._exclude / FETCHED).mkdir(parents=True)
        return self._exclude / FETCHED

    def release(self, film: PreparedFilm) -> None:
        """Remove what was fetched of a film, when nothing reads it any more."""
        if film.item.origin is not None:
            film.item.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all that was fetched."""
        if "_scratch" in self.__dict__:
            shutil.rmtree(self._scratch, ignore_errors=True)
            del self._scratch

    def __len__(self) -> int:
        """How many films there are."""
        return len(self.collection.items)

    def __getitem__(self, index: int) -> PreparedFilm:
        """Read and prepare one film of the collection."""
        return self.load(self.collection.items[index])

    def load(self, item: Item) -> PreparedFilm:
        """Read and prepare one film.

        Args:
            item: The film.

        Returns:
            What the transform makes of it.
        """
        if item.origin is None:
            return prepare(self.transform, item.path, item=item)
        url = item.origin.url
        path = self._scratch / uuid.uuid4().hex
        try:
            with guard_input():
                self._store(url.partition("://")[0]).fetch(url, path)
            return prepare(self.transform, path, item=replace(item, path=path))
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _store(self, scheme: str) -> ObjectStore:
        """What opens URLs; where another process has listed them, it is opened here."""
        if scheme not in self._stores:
            store = ObjectStore(scheme)
            store.open()
            self._stores[scheme] = store
        return self._stores[scheme]

    @cached_property
    def _own_output(self) -> Path | None:
        if self._exclude is None:
            return None
        output = self._exclude.resolve()
        # The shares of one output lie side by side, and none of them is an input of another.
        return output if shard_of(output) is None else output.parent

    def _refuse_output(self) -> None:
        if self.root == self._own_output:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected an output folder other than the input, got the same for both; "
                "its tables and pictures would be taken for inputs",
            )
        if is_output(self.root):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a folder of films as input, got the output of an earlier prediction; "
                "its pictures would be taken for films",
            )

    def _passes_over(self, folder: Path) -> bool:
        if folder == self._own_output:
            return True
        if not is_output(folder):
            return False
        name = folder.relative_to(self.root).as_posix()
        _log.warning("passed over, since it is the output of an earlier prediction: %r", name)
        return True


def prepare(transform: Transform, film: Path | Radiograph, *, item: Item) -> PreparedFilm:
    """Prepare one film for the network.

    Args:
        transform: Reads and prepares it.
        film: A path or what was read from one.
        item: Its name and the frame to read.

    Returns:
        The film; its image is a plain tensor, without the metadata that MONAI's tensors carry.
    """
    made = transform({"image": film, "frame": item.frame})
    image = made["image"]
    return PreparedFilm(
        item=item,
        image=image.as_tensor() if hasattr(image, "as_tensor") else image,
        original_size=made.get("original_size", tuple(image.shape[1:])),
        spacing_mm=made.get("spacing_mm"),
        placement=made.get("placement"),
        source=film if isinstance(film, Radiograph) else None,
    )
