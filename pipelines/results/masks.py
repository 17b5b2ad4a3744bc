"""Masks become files and tables: pictures or NIfTI, run lengths, measurements."""

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.errors import DatasetError, Reason
from pipelines.evaluation.regions import Box, Mask, count_components, principal_length
from pipelines.files import whole_file, write_csv, write_json_with_list
from pipelines.predictions import Region, Segmentation
from pipelines.results.records import record_json
from pipelines.results.rle import encode
from pipelines.results.tables import GUARD_COLUMNS, guard_cells
from pipelines.table_cells import table_filename, table_number

# Two values in long runs: no filter and run lengths pack them quickest, and smallest.
_PNG_OF_RUNS = (
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)
_RLE_COLUMNS = ("image_name", "class", "rle")
_MEASUREMENT_COLUMNS = (
    "filename",
    "class",
    "found",
    "area_px",
    "area_mm2",
    "length_px",
    "length_mm",
    "components",
)


class ImageNames(StrEnum):
    """What stands under `image_name`: where a film lies below the input folder, or its name."""

    PATH = "path"
    NAME = "name"


def measure_region(
    name: str, mask: Mask, *, spacing_mm: tuple[float, float] | None = None
) -> Region:
    """Measure one structure on a film at its original size.

    Args:
        name: Class name.
        mask: bool or uint8, (height, width).
        spacing_mm: Between rows and between columns; None where unknown, and then nothing is
            given in mm.

    Returns:
        Area, length along the principal axis (see `principal_length`), connected parts and run
        lengths.
    """
    box = Box.around(mask)
    held = np.zeros((1, 1), np.uint8) if box is None else box.mask  # a bone is far from a film
    area = int(np.count_nonzero(held))
    area_mm2 = length_mm = None
    if spacing_mm is not None:
        area_mm2 = area * spacing_mm[0] * spacing_mm[1]
        length_mm = principal_length(held, spacing_mm)
    return Region(
        name=name,
        area_px=area,
        area_mm2=area_mm2,
        length_px=principal_length(held),
        length_mm=length_mm,
        components=count_components(held),
        rle=encode(mask),
    )


def write_mask(path: Path, mask: Mask) -> None:
    """Write one structure as a PNG of 8 bits, 255 where it is and 0 elsewhere; whole or not."""
    set_ = mask if mask.dtype == np.bool_ else mask != 0
    levels = np.multiply(set_.view(np.uint8), np.uint8(255))
    with whole_file(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", levels, _PNG_OF_RUNS)[1].tobytes())


def write_nifti(
    path: Path, masks: npt.NDArray[np.uint8], *, spacing_mm: tuple[float, float] | None = None
) -> None:
    """Write all structures of a film as one packed NIfTI file, one channel each; whole or not.

    The axes are column, row, slice (one) and channel, as films in NIfTI are read.

    Args:
        path: Ends in `.nii.gz`.
        masks: uint8, 0 or 1, (structures, height, width).
        spacing_mm: Between rows and between columns; where it is None, the header says 1 by 1 of
            an unknown unit.
    """
    import nibabel

    rows, columns = spacing_mm or (1.0, 1.0)
    stored = masks.transpose(2, 1, 0)[:, :, None, :]
    image = nibabel.Nifti1Image(stored, np.diag([columns, rows, 1.0, 1.0]), dtype=np.uint8)
    image.header.set_xyzt_units("unknown" if spacing_mm is None else "mm")
    with whole_file(path) as temporary, gzip.open(temporary, "wb", compresslevel=1) as packed:
        image.to_stream(packed)


def write_segmentations(
    output: Path,
    segmentations: Sequence[Segmentation],
    *,
    classes: Sequence[str],
    image_names: ImageNames = ImageNames.PATH,
) -> Mapping[str, object]:
    """Write `predictions.csv`, `measurements.csv` and `predictions.json` of a segmentation.

    `predictions.csv` has the columns `image_name,class,rle` and a row a structure, found or not,
    in class order. `measurements.csv` leaves cells in mm empty where the film tells no spacing.

    Args:
        output: Folder to write to; made if missing.
        segmentations: In the order of the rows.
        classes: Class names in order.
        image_names: `name` leaves folders out of `image_name`, as tables of submissions want it.

    Returns:
        `found`: on how many films each structure was found.

    Raises:
        DatasetError: If two films have one and the same image name.
    """
    names = [_image_name(film, image_names) for film in segmentations]
    if len(set(names)) < len(names):
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected films of different names, got {len(names) - len(set(names))} repeated; "
            "write paths instead, with image_names=path",
        )
    write_csv(
        output / "predictions.csv",
        _RLE_COLUMNS,
        (
            {"image_name": table_filename(name), "class": region.name, "rle": region.rle}
            for name, film in zip(names, segmentations, strict=True)
            for region in film.regions
        ),
    )
    write_csv(
        output / "measurements.csv",
        (*_MEASUREMENT_COLUMNS, *GUARD_COLUMNS),
        (
            _measurements(film, region) | guard_cells(film)
            for film in segmentations
            for region in film.regions
        ),
    )
    write_json_with_list(
        output / "predictions.json",
        {"classes": list(classes)},
        "predictions",
        map(record_json, segmentations),
    )
    found = Counter(r.name for film in segmentations for r in film.regions if r.area_px)
    return {"found": {name: found[name] for name in classes}}


def _image_name(film: Segmentation, names: ImageNames) -> str:
    return film.filename if names is ImageNames.PATH else film.filename.rpartition("/")[2]


def _measurements(film: Segmentation, region: Region) -> dict[str, object]:
    return {
        "filename": table_filename(film.filename),
        "class": region.name,
        "found": str(region.area_px > 0).lower(),
        "area_px": region.area_px,
        "area_mm2": _number(region.area_mm2),
        "length_px": _number(region.length_px),
        "length_mm": _number(region.length_mm),
        "components": region.components,
    }


def _number(value: float | None) -> float | None:
    return None if value is None else table_number(value)
