"""The last step of a segmentation: logits become masks on the film, measurements, files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.evaluation.refiner import BESIDE, RefinedFilm, Refiner
from pipelines.evaluation.region_pictures import Outline, outline
from pipelines.evaluation.regions import Mask, without_fragments
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.output import output_errors
from pipelines.inference.prepared import Outputs, PreparedFilm, not_finite
from pipelines.inference.settings import whole_number
from pipelines.ingest.read import read_radiograph
from pipelines.predictions import Refusal, Region, Segmentation
from pipelines.radiograph import Pixels
from pipelines.results.bone_overlays import write_overlay
from pipelines.results.masks import (
    ImageNames,
    measure_region,
    write_mask,
    write_nifti,
)
from pipelines.results.overlays import Caption
from pipelines.results.task_tables import MaskTables
from pipelines.transforms.letterbox import Letterbox

_NEVER = -20.0  # a logit: two in a billion


class Save(StrEnum):
    """What is written for each film, besides the tables."""

    MASKS = "masks"
    NIFTI = "nifti"
    OVERLAYS = "overlays"


class Segment:
    """Turn logits of maps into masks at the film's original size, measure and write them.

    `masks` writes `masks/<film>/<class>.png`, `nifti` writes `masks/<film>.nii.gz`, `overlays`
    writes `overlays/<film>.png`; run lengths and measurements stand in the tables. Structures are
    worked on one after the other, so that memory holds one of them at full size.

    Args:
        weights: The file of weights that the logits come from; their operating point stands in
            `operating_point.json` beside it.
        output_dir: Folder for the results.
        save: What is written for each film.
        largest_piece: Keep the largest connected part of each structure alone; None does what the
            operating point says.
        smallest_area: Pixels of the film; smaller parts are no structure.
        image_names: What stands under `image_name` in the table: `path` below the input folder, or
            the file's `name`.
        overlay_size: Length of the longer side of a film in its overlay, in pixels.
        refiner: What draws outlines anew at the film's own size: `beside` takes `refiner.pt` beside
            the weights where there is one, a file that one; None draws none.
        device: Where the refiner runs, as `pick_device` takes it.

    Raises:
        ConfigurationError: If a setting is out of its range.
    """

    record = Segmentation

    def __init__(  # noqa: PLR0913 - what a configuration sets
        self,
        weights: str | Path,
        *,
        output_dir: str | Path,
        save: Sequence[str] = (Save.MASKS, Save.OVERLAYS),
        largest_piece: bool | None = None,
        smallest_area: int = 1,
        image_names: str = ImageNames.PATH,
        overlay_size: int = 1024,
        refiner: str | Path | None = BESIDE,
        device: str | torch.device = "cpu",
    ) -> None:
        strange = [name for name in save if name not in tuple(Save)]
        if strange or image_names not in tuple(ImageNames):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected save among {', '.join(Save)} and image_names {' or '.join(ImageNames)}, "
                f"got {list(save)} and {image_names!r}",
            )
        self._weights = Path(weights)
        self._output = Path(output_dir)
        self._save = frozenset(map(Save, save))
        self._largest_piece = largest_piece
        self._smallest_area = whole_number("postprocessing.smallest_area", smallest_area)
        self._image_names = ImageNames(image_names)
        self._overlay_size = whole_number("postprocessing.overlay_size", overlay_size)
        self._refiner_name = refiner
        self._device = device

    @cached_property
    def operating_point(self) -> SegmentationPoint:
        """Class names and thresholds.

        Raises:
            ConfigurationError: If the file is missing or wrong.
        """
        point = SegmentationPoint.beside(self._weights)
        if self._largest_piece is None:
            return point
        return replace(point, largest_piece=self._largest_piece)

    @cached_property
    def refiner(self) -> Refiner | None:
        """What draws outlines anew, if anything does.

        Raises:
            PlainfilmError: If its files are missing or wrong, or of other structures.
        """
        found = Refiner.find(
            self._refiner_name,
            weights=self._weights,
            device=self._device,
            largest_piece=self._largest_piece,
        )
        if found is not None:
            found.check_classes(self.operating_point)
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the structures, in the order of the maps."""
        return self.operating_point.classes

    def about(self) -> Mapping[str, object]:
        """Say how logits become masks, and what is written."""
        point = self.operating_point
        return {
            "thresholds": dict(zip(point.classes, point.thresholds, strict=True)),
            "largest_piece": point.largest_piece,
            "smallest_area": self._smallest_area,
            "save": sorted(self._save),
            "overlay_size": self._overlay_size,
            "refiner": None if self.refiner is None else self.refiner.about(),
        }

    def __call__(
        self, films: Sequence[PreparedFilm], outputs: Outputs
    ) -> list[Segmentation | Refusal]:
        """Make a record of each film, and write its files.

        Args:
            films: n films.
            outputs: (n, structures, height, width), logits at the network's size.

        Returns:
            Records in the same order; a film with logits that are not finite, or whose file cannot
            be read again for its overlay, becomes a refusal. No files are written of a film that
            came from Python and not from a file.
        """
        return [self._answer(film, maps) for film, maps in zip(films, outputs, strict=True)]

    @property
    def tables(self) -> MaskTables:
        """What writes `predictions.csv`, `measurements.csv` and `predictions.json`."""
        return MaskTables(self.classes, self._image_names)

    def caption(self, prediction: Segmentation) -> Caption:
        """Say how many structures were found."""
        found = sum(region.area_px > 0 for region in prediction.regions)
        return Caption(
            title=f"{found} of {len(prediction.regions)} found",
            filename=prediction.filename,
            share=found / len(prediction.regions),
        )

    def _answer(self, film: PreparedFilm, maps: npt.NDArray[np.float32]) -> Segmentation | Refusal:
        if not _finite(maps):
            return not_finite(film.filename)
        try:
            return self._segment(
                film, maps, save=self._save if film.item.path.name else frozenset()
            )
        except InputError as error:
            return Refusal.of(film.filename, error)

    def _segment(
        self, film: PreparedFilm, maps: npt.NDArray[np.float32], *, save: frozenset[Save]
    ) -> Segmentation:
        folder = self._output / "masks" / film.filename
        # The network's picture is too small for the refiner and to look at.
        pixels = _pixels(film) if self.refiner or Save.OVERLAYS in save else None
        refined = self._refine(film, maps, pixels)
        stack = []
        regions: list[Region] = []
        outlines: list[tuple[str, Outline | None]] = []
        for channel, name in enumerate(self.classes):
            mask = self._mask(film, maps, channel=channel, refined=refined)
            regions.append(measure_region(name, mask, spacing_mm=film.spacing_mm))
            if Save.OVERLAYS in save:
                outlines.append((name, outline(mask)))
            if Save.NIFTI in save:
                stack.append(mask.view(np.uint8))
            if Save.MASKS in save:
                with output_errors():
                    write_mask(folder / f"{_as_file_name(name)}.png", mask)
        with output_errors():
            if stack:
                target = self._output / "masks" / f"{film.filename}.nii.gz"
                write_nifti(target, np.stack(stack), spacing_mm=film.spacing_mm)
            if outlines and pixels is not None:
                self._draw(film, pixels, outlines)
        return Segmentation(filename=film.filename, regions=tuple(regions))

    def _refine(
        self, film: PreparedFilm, maps: npt.NDArray[np.float32], pixels: Pixels | None
    ) -> RefinedFilm | None:
        if self.refiner is None or pixels is None:
            return None
        return self.refiner(pixels, maps, placement=film.placement, point=self.operating_point)

    def _mask(
        self,
        film: PreparedFilm,
        maps: npt.NDArray[np.float32],
        *,
        channel: int,
        refined: RefinedFilm | None,
    ) -> Mask:
        """Decide one structure on the film."""
        mask = None if refined is None else refined.mask(channel)
        if mask is None:
            mask = self.operating_point.decide(on_film(film, maps[channel]), channel)
        if self._smallest_area > 1:
            mask = without_fragments(mask, largest=False, smallest_area=self._smallest_area)
        return mask

    def _draw(
        self, film: PreparedFilm, pixels: Pixels, outlines: Sequence[tuple[str, Outline | None]]
    ) -> None:
        write_overlay(
            self._output / "overlays" / film.picture_name,
            pixels,
            outlines,
            longest=self._overlay_size,
        )


def _finite(maps: npt.NDArray[np.float32]) -> bool:
    # Map by map, without a mask of 29 of them at full size; a NaN is its map's lowest and highest.
    return all(bool(np.isfinite([plane.min(), plane.max()]).all()) for plane in maps)


def _pixels(film: PreparedFilm) -> Pixels:
    """The film itself, read once more where it came from a file."""
    if film.source is not None:
        return film.source.pixels
    return read_radiograph(film.item.path, frame=film.item.frame).pixels


def on_film(film: PreparedFilm, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Bring the logits of one structure to the film's original size.

    Args:
        film: Where they lie on it.
        logits: (h, w), at the network's size.

    Returns:
        (height, width); far below any threshold where the network saw nothing of the film.

    Raises:
        ConfigurationError: If the film's preparation does not tell where its picture lies.
    """
    if film.placement is None:
        if logits.shape == film.original_size:
            return logits
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a preprocessing that tells where its {logits.shape[0]} x "
            f"{logits.shape[1]} pixels lie on the film, got one that does not; "
            "resize films with Letterboxd",
        )
    if isinstance(film.placement, Letterbox) and film.placement.film == logits.shape:
        return logits
    # What the way back fills in is 0, an even chance for a logit.
    lowest = np.minimum(logits.min(), np.float32(_NEVER))
    placed: npt.NDArray[np.float32] = film.placement.to_film((logits - lowest)[None])[0] + lowest
    return placed


def _as_file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in " -_." else "_" for c in name).lstrip(".") or "_"
