"""The grey scale of a film as a presentation state says it (PS3.3 C.11), as the reader applies it.

A presentation state takes the place of whatever the image says, MONOCHROME1 included: what it does
not repeat is lost on the screen.
"""

import math
from typing import Any

import numpy as np
from highdicom import (
    VOILUT,
    ModalityLUT,
    ModalityLUTTransformation,
    PresentationLUTTransformation,
)
from highdicom.pr import SoftcopyVOILUTTransformation

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_attributes import Attributes
from pipelines.ingest.dicom_grey import is_inverted
from pipelines.ingest.dicom_header import DicomHeader
from pipelines.ingest.dicom_lut import LookupTable, read_table

_HIGHEST = 65535


def grey_scale(header: DicomHeader) -> dict[str, Any]:
    """Return the three transformations, as the constructor of highdicom takes them.

    Args:
        header: Of a grey film.

    Raises:
        InputError: UNSUPPORTED_FORMAT if a look-up table begins below 0.
    """
    attributes = header.attributes
    shape = "INVERSE" if is_inverted(header.layout, attributes) else "IDENTITY"
    interest = _values_of_interest(attributes, signed=header.layout.signed)
    return {
        "modality_lut_transformation": _modality(attributes, signed=header.layout.signed),
        "voi_lut_transformations": None if interest is None else [interest],
        "presentation_lut_transformation": PresentationLUTTransformation(
            presentation_lut_shape=shape
        ),
    }


def _modality(attributes: Attributes, *, signed: bool) -> ModalityLUTTransformation | None:
    item = attributes.item("ModalityLUTSequence")
    table = None if item is None else read_table(item, signed=signed)
    if table is not None:
        # Its entries are the values that a window speaks of, so they stay as they are.
        return ModalityLUTTransformation(
            modality_lut=ModalityLUT("US", _first(table), table.entries)
        )
    slope, intercept = (
        next(iter(attributes.numbers(keyword)), default)
        for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if slope == 0 or not math.isfinite(slope + intercept) or (slope, intercept) == (1, 0):
        return None
    return ModalityLUTTransformation(
        rescale_slope=slope, rescale_intercept=intercept, rescale_type="US"
    )


def _values_of_interest(
    attributes: Attributes, *, signed: bool
) -> SoftcopyVOILUTTransformation | None:
    """The look-up table before the first window, as the reader chooses; None where it guesses."""
    item = attributes.item("VOILUTSequence")
    table = None if item is None else read_table(item, signed=signed)
    if table is not None:
        # A presentation state has entries of 8 or 16 bits; those of 12 would look dark (C.11.8).
        whole = np.rint(table.entries * (_HIGHEST / table.maximum)).astype(np.uint16)
        return SoftcopyVOILUTTransformation(voi_luts=[VOILUT(_first(table), whole)])
    center, width = (attributes.numbers(name)[:1] for name in ("WindowCenter", "WindowWidth"))
    if not center or not width or not math.isfinite(center[0]) or not width[0] >= 1:
        return None
    function = attributes.text("VOILUTFunction")
    return SoftcopyVOILUTTransformation(
        window_center=center[0],
        window_width=width[0],
        voi_lut_function=function if function in {"LINEAR_EXACT", "SIGMOID"} else None,
    )


def _first(table: LookupTable) -> int:
    if table.first < 0:
        raise InputError(
            Reason.UNSUPPORTED_FORMAT,
            f"expected a look-up table that begins at 0 or above, got {table.first}; "
            "ask for sr or sc",
        )
    return table.first
