"""The input of a batch: a folder of films, or one file, looked through when it is first needed."""

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.journal import is_output
from pipelines.inference.prepared import PreparedFilm
from pipelines.ingest.collect import Collection, Item, collect
from pipelines.ingest.shard import Shard, shard_of
from pipelines.radiograph import Radiograph

Transform: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A chain that takes `{"image": path or radiograph, "frame": n}` and gives `image` as a tensor."""

_log = logging.getLogger(__name__)


class RadiographFolder:
    """The films of a folder, prepared for a network when they are asked for.

    Constructing it touches no file, so a configuration can be instantiated and checked without its
    data.

    Args:
        data: Folder, looked through with everything below it, or one file.
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
        self._root = Path(data)
        self._exclude = None if exclude is None else Path(exclude)
        self.shard = None if shard is None else Shard.parse(shard)
        self.transform = transform

    @cached_property
    def collection(self) -> Collection:
        """What the folder holds.

        Raises:
            ConfigurationError: If there is no such folder, nothing in it, or it is an output.
        """
        self._refuse_output()
        found = collect(
            self._root, passes_over=self._passes_over, shard=self.shard, show_progress=True
        )
        # A share of few films may be empty; what all shares are of may not.
        if not (found.inputs if found.listing is None else found.listing.count):
            raise ConfigurationError(
                Reason.DATASET_LAYOUT,
                f"expected at least one file in the input {self._root.name!r}, got none; "
                "check the path",
            )
        return found

    @property
    def root(self) -> Path:
        """The folder or file, absolute."""
        return self._root.resolve()

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
        return prepare(self.transform, item.path, item=item)

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
