"""Weights remember the films that they come from, so that an evaluation on them is noticed.

`trained_on.npz` stands beside the weights: eight bytes of the SHA-256 of every film's file, of
those that trained and of those on which the best epoch, thresholds and calibration were chosen. A
film that was written anew, in another format say, is another file and not found.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import sha256, whole_file

FILE_NAME = "trained_on.npz"

_BYTES = 8
_NAMES = ("train", "val")

Marks = npt.NDArray[np.uint64]
"""A number for each film, sorted, each once."""


@dataclass(frozen=True, slots=True)
class SeenFilms:
    """How many films of a split the weights have seen before.

    Attributes:
        films: Films of the split.
        trained_on: Those among them that trained the weights.
        chosen_on: Those that the best epoch and the operating point were chosen on.
    """

    films: int
    trained_on: int
    chosen_on: int

    @property
    def warning(self) -> str | None:
        """What to say of figures on films that were trained on; None where there are none."""
        if not self.trained_on:
            return None
        return (
            f"{self.trained_on} of these {self.films} films trained these weights: "
            "the figures are too good"
        )


@dataclass(frozen=True, slots=True, eq=False)
class TrainedOn:
    """The films that weights come from.

    Attributes:
        train: Of those that trained.
        val: Of those that something was chosen on.
    """

    train: Marks = field(repr=False)
    val: Marks = field(repr=False)

    @staticmethod
    def of(train: Iterable[Path], val: Iterable[Path]) -> "TrainedOn":
        """Read every film once.

        Args:
            train: Films that trained.
            val: Films that something was chosen on.
        """
        return TrainedOn(np.unique(_marks(train)), np.unique(_marks(val)))

    @staticmethod
    def together(parts: Sequence["TrainedOn"]) -> "TrainedOn":
        """Join the films of weights that answer together.

        Args:
            parts: At least one.
        """
        train, val = (
            np.unique(np.concatenate([getattr(part, name) for part in parts])) for name in _NAMES
        )
        return TrainedOn(train, val)

    def save(self, path: Path) -> None:
        """Write the marks, whole or not at all."""
        with whole_file(path) as temporary:
            np.savez_compressed(temporary, train=self.train, val=self.val)

    @staticmethod
    def beside(weights: Path) -> "TrainedOn | None":
        """Read what stands beside weights; None where they do not say.

        Raises:
            ConfigurationError: If the file is damaged.
        """
        path = weights.parent / FILE_NAME
        if not path.is_file():
            return None
        try:
            with path.open("rb") as content, np.load(content) as arrays:
                train, val = (np.asarray(arrays[name], dtype=np.uint64) for name in _NAMES)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected the marks of films in {FILE_NAME}, got {type(error).__name__}; copy it "
                "again from the run that the weights come from, or remove it",
            ) from error
        return TrainedOn(train, val)

    def seen(self, films: Sequence[Path]) -> SeenFilms:
        """Count the films that the weights have seen.

        Args:
            films: Of a split.
        """
        marks = _marks(films)
        return SeenFilms(
            films=len(films),
            trained_on=int(np.isin(marks, self.train).sum()),
            chosen_on=int(np.isin(marks, self.val).sum()),
        )


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What is known of a split and of the weights beside what is measured.

    Attributes:
        columns: The value of each film, by column: what subgroups are told by.
        seen: How many films the weights have seen; None where they do not say.
        weights: SHA-256 of the file of weights; None where it is not known.
    """

    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seen: SeenFilms | None = None
    weights: str | None = None

    @staticmethod
    def of(
        weights: Path, films: Sequence[Path], columns: Mapping[str, Sequence[str]]
    ) -> "SplitFacts":
        """Look at weights and at the films that they are evaluated on.

        Args:
            weights: Their file.
            films: Of the split.
            columns: Of the films.
        """
        known = TrainedOn.beside(weights)
        return SplitFacts(columns, None if known is None else known.seen(films), sha256(weights))

    def as_json(self) -> dict[str, Any]:
        """Return what `metrics.json` says of it."""
        seen = self.seen
        return {
            "weights_sha256": self.weights,
            "films_seen": None
            if seen is None
            else {"trained_on": seen.trained_on, "chosen_on": seen.chosen_on},
        }

    def warned(self, text: str) -> str:
        """Return a note on figures, with the warning behind it where there is one."""
        warning = None if self.seen is None else self.seen.warning
        return text if warning is None else f"{text}. {warning[0].upper()}{warning[1:]}"


def _marks(films: Iterable[Path]) -> Marks:
    with ThreadPoolExecutor(max_workers=cpu_count()) as readers:
        return np.array(list(readers.map(_mark, films)), dtype=np.uint64)


def _mark(film: Path) -> int:
    with film.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").digest()
    return int.from_bytes(digest[:_BYTES], "big")
