"""A data set that a config names: indexed when it is first needed, refused when a run starts.

MONAI's property check, its export and `monai.bundle.load` build everything that a config names,
also where there is no data at all. So a data set that cannot be used has no films at first, and its
problem is raised by `datalist`, with which every run begins.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pipelines.datasets.data_card import describe_data
from pipelines.datasets.datalist import Datalist, build_datalist, check_split
from pipelines.datasets.films import SPLITS
from pipelines.datasets.folds import fold_of
from pipelines.datasets.leak_report import (
    LeakPolicy,
    check_leak_policy,
    count_kinds,
    describe_leaks,
    leaks_of,
    refuse_leaks,
)
from pipelines.datasets.leakage import Finding, find_leaks
from pipelines.errors import ConfigurationError, DatasetError, Reason
from pipelines.nearest import right_names

logger = logging.getLogger(__name__)

_NAMES = (*SPLITS, "all")


class Opened(ABC):
    """What every data set of a config shares: it is indexed once, and its problem is held back.

    Args:
        leaks: What to do about films that stand on two sides of the split.

    Raises:
        ConfigurationError: If it is no policy.
    """

    def __init__(self, leaks: LeakPolicy) -> None:
        check_leak_policy(leaks)
        self.leaks = leaks

    @abstractmethod
    def _build(self) -> Datalist:
        """Index the films.

        Raises:
            DatasetError: If the data set cannot be used.
        """

    @cached_property
    def _indexed(self) -> Datalist | DatasetError:
        try:
            return self._build()
        except DatasetError as error:
            return error

    @property
    def datalist(self) -> Datalist:
        """The index of the films.

        Raises:
            DatasetError: If a film, a mask or the layout has a problem, or a required split lacks
                films.
        """
        if isinstance(self._indexed, DatasetError):
            raise self._indexed
        return self._indexed

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the leak check finds, see `find_leaks`."""
        return find_leaks(self.datalist)

    def check_leaks(self) -> None:
        """Refuse a split that leaks, or warn of it, as `leaks` says.

        Raises:
            DatasetError: DATA_LEAK, with counts, some films and what to do.
        """
        if self.leaks == "refuse":
            refuse_leaks(self.findings)
        elif self.leaks == "warn" and leaks_of(self.findings):
            logger.warning("%s", describe_leaks(self.findings))

    @cached_property
    def data_card(self) -> dict[str, Any]:
        """What the data set holds, counted; see `describe_data`."""
        datalist = self.datalist
        return describe_data(datalist, datalist.surveyed(), count_kinds(self.findings))

    def split(self, name: Literal["train", "val", "test", "all"]) -> list[dict[str, Any]]:
        """Return the films of a split; a data set that cannot be used has none.

        Raises:
            ConfigurationError: If there is no such split.
        """
        check_split_name(name)
        if isinstance(self._indexed, DatasetError):
            return []
        return [item for split, item in self._indexed.with_splits() if name in {split, "all"}]


class OpenedDataset(Opened):
    """The labelled films below a folder, or in a datalist file.

    Args:
        dataset_dir: A folder or a datalist file, see `build_datalist`.
        classes: Class names in order; the last one is the positive class.
        require: Splits that must have films of every class; `all` takes any.
        val_fraction: Share of the training films for validation, 0 to 1.
        test_fraction: Share of the films for testing where no split is given, 0 to 1.
        folds: Number of parts for cross-validation.
        fold: The part that validates, from 0; None splits by `val_fraction`.
        seed: Seed of the split.
        group_column: Column of a datalist file, or of `metadata.csv`, that holds the patient.
        leaks: What to do about films that stand on two sides of the split: `refuse` them, `warn`,
            or `ignore` them.

    Raises:
        ConfigurationError: If `require` names no split, or a number is out of its range.
    """

    def __init__(  # noqa: PLR0913 - a config names each
        self,
        dataset_dir: str | Path,
        *,
        classes: Sequence[str],
        require: Sequence[str] = ("train", "val"),
        val_fraction: float = 0.1,
        test_fraction: float = 0.0,
        folds: int = 5,
        fold: int | None = None,
        seed: int = 0,
        group_column: str | None = None,
        leaks: LeakPolicy = "refuse",
    ) -> None:
        super().__init__(leaks)
        check_split(val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
        for name in require:
            check_split_name(name)
        self.dataset_dir = Path(dataset_dir)
        self.classes = tuple(classes)
        self.require = tuple(require)
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.fold = fold_of(fold, count=folds, seed=seed)
        self.seed = seed
        self.group_column = group_column

    def _build(self) -> Datalist:
        return build_datalist(
            self.dataset_dir,
            classes=self.classes,
            val_fraction=self.val_fraction,
            test_fraction=self.test_fraction,
            seed=self.seed,
            group_column=self.group_column,
            require=[name for name in SPLITS if name in self.require],
            fold=self.fold,
        )


def check_split_name(name: str) -> None:
    """Refuse what is neither a split nor `all`.

    Raises:
        ConfigurationError: With the nearest right name.
    """
    if name not in _NAMES:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected the name of a split, got {name!r}{right_names(str(name), _NAMES)}",
        )
