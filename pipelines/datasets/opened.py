"""A data set that a config names: indexed when it is first needed, refused when a run starts.

MONAI's property check, its export and `monai.bundle.load` build everything that a config names,
also where there is no data at all. So a data set that cannot be used is empty at first, and its
problem is raised by `require`, with which every run begins.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pipelines.datasets.datalist import Datalist, build_datalist
from pipelines.errors import DatasetError, Reason

Split = Literal["train", "val", "test", "all"]


class OpenedDataset:
    """The labelled films below a folder, or in a datalist file.

    Args:
        dataset_dir: A folder or a datalist file, see `build_datalist`.
        classes: Class names in order; the last one is the positive class.
        val_fraction: Share of the patients of the training part that validate, 0 to 1.
        seed: Seed of the split.
        group_column: Column of a datalist file that holds the patient.
    """

    def __init__(
        self,
        dataset_dir: str | Path,
        *,
        classes: Sequence[str],
        val_fraction: float = 0.15,
        seed: int = 0,
        group_column: str | None = None,
    ) -> None:
        self.dataset_dir = Path(dataset_dir)
        self.classes = tuple(classes)
        self.val_fraction = val_fraction
        self.seed = seed
        self.group_column = group_column

    @cached_property
    def _indexed(self) -> Datalist | DatasetError:
        try:
            return build_datalist(
                self.dataset_dir,
                classes=self.classes,
                val_fraction=self.val_fraction,
                seed=self.seed,
                group_column=self.group_column,
                require=(),
            )
        except DatasetError as error:
            return error

    @property
    def datalist(self) -> Datalist:
        """The index of the films.

        Raises:
            DatasetError: If the folder or file cannot be used as it is.
        """
        if isinstance(self._indexed, DatasetError):
            raise self._indexed
        return self._indexed

    def split(self, name: Split) -> list[dict[str, Any]]:
        """Return the films of a split; an unusable data set has none, see `require`."""
        if isinstance(self._indexed, DatasetError):
            return []
        parts = ("train", "val", "test") if name == "all" else (name,)
        return [item for part in parts for item in getattr(self._indexed, part)]

    def require(self, *names: Split) -> Datalist:
        """Return the index if every named split has films of every class.

        Raises:
            DatasetError: If the data set cannot be used, or a split lacks films of a class.
        """
        datalist = self.datalist
        for name in names:
            present = {int(item["label"]) for item in self.split(name)}
            lacking = [c for i, c in enumerate(self.classes) if i not in present]
            if lacking:
                raise DatasetError(
                    Reason.DATASET_LAYOUT,
                    f"expected films of {' and '.join(self.classes)} in split {name!r} of "
                    f"{self.dataset_dir.name}, got none of {' and '.join(lacking)}; "
                    "add some, or choose another split with --set split=train|val|test|all",
                )
        return datalist

    def relative_name(self, image: str) -> str:
        """Return a film's path below the data set, with `/`; outside it, the file's name."""
        path = Path(image)
        root = self.dataset_dir.resolve()
        root = root if root.is_dir() else root.parent
        resolved = path.resolve()
        return resolved.relative_to(root).as_posix() if root in resolved.parents else path.name
