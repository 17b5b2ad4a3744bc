"""A film on its way through the network, and the contract of what comes behind the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from pipelines.errors import Reason
from pipelines.ingest.collect import Item
from pipelines.predictions import Prediction, Refusal
from pipelines.radiograph import Radiograph
from pipelines.results.overlays import Caption
from pipelines.results.task_tables import TaskTables

Outputs: TypeAlias = npt.NDArray[np.float32]
"""What the network gave for n films: (n, outputs), or (n, channel, height, width)."""


class Placement(Protocol):
    """Where the network's picture lies on the film."""

    def to_film(self, maps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Bring maps (channel, h, w) of the network's size to (channel, height, width)."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFilm:
    """A film as the network sees it, and what is needed to go back to the film itself.

    Attributes:
        item: File and frame.
        image: float32, (channel, height, width).
        original_size: Height and width of the film as it was read.
        spacing_mm: Of the film as it was read, (rows, columns); None where it is unknown.
        placement: How the image lies on the film; None where nothing asks for it.
        region: What became of the search for a region; None where there was no search.
        source: The film as it was read, where it came from Python and not from a file.
    """

    item: Item
    image: torch.Tensor
    original_size: tuple[int, int]
    spacing_mm: tuple[float, float] | None = None
    placement: Placement | None = None
    region: str | None = None
    source: Radiograph | None = None

    @property
    def filename(self) -> str:
        """Name in every table."""
        return self.item.filename

    @property
    def picture_name(self) -> str:
        """Path of a picture of this film below its folder: unique, since the suffix stays."""
        return f"{self.item.filename}.png"


class Postprocessing(Protocol):
    """What turns outputs of a network into records and tables.

    Attributes:
        record: Class of its records.
    """

    record: type[Prediction]

    @property
    def operating_point(self) -> object:
        """What stands beside the weights: class names, thresholds."""

    def about(self) -> Mapping[str, object]:
        """Say what shapes the records: thresholds, options; it stands in `summary.json`."""

    def __call__(
        self, films: Sequence[PreparedFilm], outputs: Outputs
    ) -> Sequence[Prediction | Refusal]:
        """Make a record of each film; files of a film are written here, each whole or not."""

    @property
    def tables(self) -> TaskTables:
        """What writes the tables of all predictions."""

    def caption(self, prediction: Any) -> Caption:
        """Say in a few words what was predicted, for the contact sheet."""


class Addition(Protocol):
    """What is added to records after the postprocessing: a guard's mark, a picture."""

    def about(self) -> Mapping[str, object]:
        """Say what shapes it; it stands in `summary.json`."""

    def __call__(
        self, films: Sequence[PreparedFilm], records: Sequence[Prediction | Refusal]
    ) -> Sequence[Prediction | Refusal]:
        """Return the records, in the same order, with what is added."""


def not_finite(filename: str) -> Refusal:
    """Refuse a film for which the network gave no finite output."""
    return Refusal(
        filename,
        Reason.NOT_FINITE,
        "expected a finite output of the network, got one that is not; "
        "the film has extreme values, or the weights are broken",
    )
