"""Region first: find what matters on a film, cut it out, and classify that alone.

What was found, cut out and outlined is kept beside the tables: `regions/` (masks), `crops/` and
`overlays/`, a PNG a film. A film without a region is classified whole, and its record says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.region_pictures import draw_outline, film_picture, outline
from pipelines.evaluation.regions import Box, Mask, without_fragments
from pipelines.files import whole_file
from pipelines.inference.folder import RadiographFolder, Transform, prepare
from pipelines.inference.output import output_errors
from pipelines.inference.prepared import PreparedFilm
from pipelines.inference.region_finders import RegionFinder
from pipelines.ingest.collect import Item
from pipelines.ingest.read import read_radiograph
from pipelines.predictions import Classification, Prediction, Refusal
from pipelines.radiograph import Pixels, Radiograph
from pipelines.results.masks import write_mask
from pipelines.transforms.window import Window

_OVERLAY_SIZE = 512
_FRAME = (255, 255, 255)


class RegionMode(StrEnum):
    """What of a film is classified."""

    NONE = "none"
    MASK = "mask"


class RegionFound(StrEnum):
    """What became of the search for a region; the value stands in the tables."""

    FOUND = "found"
    WHOLE = "none_found_classified_whole"


class RegionStep:
    """Finds regions, keeps pictures of them, and marks the records of films.

    Args:
        mode: `mask` classifies the region alone, `none` the whole film.
        finder: Finds the region; needed for `mask` alone.
        output_dir: Output folder of the prediction.
        margin: How far the square that is cut out reaches beyond the region, as a share of the
            region's longer side.
        smallest: Share of the film; a smaller region is none.

    Raises:
        ConfigurationError: If there is no such mode, no finder for `mask`, or a number is out of
            its range.
    """

    def __init__(
        self,
        mode: str = RegionMode.NONE,
        *,
        finder: RegionFinder | None,
        output_dir: str | Path,
        margin: float = 0.3,
        smallest: float = 0.002,
    ) -> None:
        if mode not in tuple(RegionMode) or (mode == RegionMode.MASK and finder is None):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected region none, or mask with something that finds it, got {mode!r}; "
                "set region, and finder",
            )
        if margin < 0 or not 0 <= smallest < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a margin of at least 0 and smallest from 0 to below 1, "
                f"got {margin} and {smallest}",
            )
        self._finder = finder if mode == RegionMode.MASK else None
        self._output = Path(output_dir)
        self._margin = margin
        self._smallest = smallest

    @property
    def is_active(self) -> bool:
        """Whether regions are looked for."""
        return self._finder is not None

    def about(self) -> Mapping[str, object]:
        """Say how regions are found, for `summary.json`."""
        if self._finder is None:
            return {}
        finder = dict(self._finder.about())
        return {"region": finder | {"margin": self._margin, "smallest": self._smallest}}

    def prepare(self, transform: Transform, item: Item) -> PreparedFilm:
        """Read a film, cut its region out and prepare that.

        Args:
            transform: Prepares a film for the network.
            item: The film.

        Returns:
            The region as the network sees it, placed on the whole film; the whole film where no
            region was found.
        """
        film = read_radiograph(item.path, frame=item.frame)
        mask = self._find(film)
        if mask is None:
            whole = prepare(transform, film, item=item)
            return replace(whole, region=RegionFound.WHOLE.value)
        box = _square_around(mask, margin=self._margin)
        self._keep(film.pixels, mask, box, name=f"{item.filename}.png")
        cut = replace(film, pixels=np.ascontiguousarray(film.pixels[:, *_slices(box)]))
        prepared = prepare(transform, cut, item=item)
        return replace(
            prepared,
            original_size=mask.shape,
            placement=_on_whole(prepared.placement, box, mask.shape),
            region=RegionFound.FOUND.value,
        )

    def __call__(
        self, films: Sequence[PreparedFilm], records: Sequence[Prediction | Refusal]
    ) -> Sequence[Prediction | Refusal]:
        """Say in each classification what became of the search."""
        return [
            replace(record, region=film.region) if isinstance(record, Classification) else record
            for film, record in zip(films, records, strict=True)
        ]

    def _find(self, film: Radiograph) -> Mask | None:
        """The largest part of what was found; None where it is too small."""
        if self._finder is None:
            return None
        mask = without_fragments(self._finder(film))
        return mask if mask.any() and mask.mean() >= self._smallest else None

    def _keep(self, pixels: Pixels, mask: Mask, box: Box, *, name: str) -> None:
        """Write the mask, the cut-out and the overlay of a film."""
        picture, scale = film_picture(pixels, _OVERLAY_SIZE)
        traced = outline(mask)
        if traced is not None:
            draw_outline(picture, traced, scale=scale, number=0)
        rows, columns = _slices(box)
        corners = [
            (round(column * scale), round(row * scale))
            for row, column in ((rows.start, columns.start), (rows.stop, columns.stop))
        ]
        cv2.rectangle(picture, corners[0], corners[1], _FRAME, 1)
        crop, _ = film_picture(pixels[:, rows, columns], max(box.mask.shape))
        with output_errors():
            write_mask(self._output / "regions" / name, mask)
            _write_picture(self._output / "crops" / name, crop)
            _write_picture(self._output / "overlays" / name, picture)


class RegionFolder(RadiographFolder):
    """The films of a folder, of which the region alone is prepared when a step asks for it.

    Args:
        data: As of `RadiographFolder`.
        transform: As of `RadiographFolder`.
        region: Finds regions; a step that is not active changes nothing.
        exclude: As of `RadiographFolder`.
    """

    def __init__(
        self,
        data: str | Path,
        transform: Transform,
        *,
        region: RegionStep,
        exclude: str | Path | None = None,
    ) -> None:
        super().__init__(data, transform, exclude=exclude)
        self._region = region

    def load(self, item: Item) -> PreparedFilm:
        """Read and prepare one film, or its region."""
        if not self._region.is_active:
            return super().load(item)
        return self._region.prepare(self.transform, item)


def _square_around(mask: Mask, *, margin: float) -> Box:
    """The square around a region and its margin, inside the film as far as it fits."""
    tight = Box.around(mask)
    if tight is None:
        return Box(0, 0, mask.view(np.uint8))
    side = round(max(tight.mask.shape) * (1 + 2 * margin))
    starts, stops = [], []
    places = zip((tight.row, tight.column), tight.mask.shape, mask.shape, strict=True)
    for start, length, film in places:
        room = min(side, film)
        first = min(max(0, start + (length - room) // 2), film - room)
        starts.append(first)
        stops.append(first + room)
    inside = mask[starts[0] : stops[0], starts[1] : stops[1]]
    return Box(starts[0], starts[1], np.ascontiguousarray(inside).view(np.uint8))


def _slices(box: Box) -> tuple[slice, slice]:
    height, width = box.mask.shape
    return slice(box.row, box.row + height), slice(box.column, box.column + width)


def _on_whole(placement: Any, box: Box, film: tuple[int, int]) -> Window | None:
    """Where the network's picture lies on the whole film, from where it lies on the cut-out."""
    if not isinstance(placement, Window):
        return None
    return replace(
        placement, film=film, top=placement.top + box.row, left=placement.left + box.column
    )


def _write_picture(path: Path, picture: Any) -> None:
    with whole_file(path) as temporary:
        cv2.imwrite(str(temporary), picture[..., ::-1])
