"""A radiograph as the rest of the package sees it: pixels, spacing, provenance; identity apart."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.float32]
"""float32, 0 to 1, shape (channel, height, width), rows first."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was done between the file and the pixels.

    Attributes:
        format: `dicom`, `png`, `jpeg`, `bmp`, `tiff`, `gif`, `nifti`, `metaimage`, `nrrd`.
        transfer_syntax: UID of the DICOM transfer syntax; None for other formats.
        sop_class: UID of the SOP class; None for other formats.
        bits: Bits stored per sample in the file.
        modality_lut: How stored values became modality values (PS3.3 C.11.1).
        voi: How values of interest were chosen (PS3.3 C.11.2): `lut` a VOI LUT Sequence, `window`
            the first window with its function, `percentile` 0.5 to 99.5 of the content since the
            file names none, `full_range` the range of the sample type.
        voi_function: `LINEAR`, `LINEAR_EXACT` or `SIGMOID` where `voi` is `window`.
        inverted: True if grey values were turned (MONOCHROME1 or PresentationLUTShape INVERSE).
        decoder: Name of the library that decoded the samples.
        flags: Short codes of what a user should know: `for_processing`, `secondary_capture`,
            `no_preamble`, `burned_in_annotation`, `voi_guessed` and the like, sorted.
    """

    format: str
    bits: int
    transfer_syntax: str | None = None
    sop_class: str | None = None
    modality_lut: Literal["none", "rescale", "lut"] = "none"
    voi: Literal["lut", "window", "percentile", "full_range"] = "full_range"
    voi_function: str | None = None
    inverted: bool = False
    decoder: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Whose film it is. It is for DICOM results and for grouping splits, never for logs or tables.

    Attributes are named as the DICOM keywords; an absent one is an empty string.
    """

    patient_id: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""

    def __repr__(self) -> str:
        """Hide every value: reprs end up in logs and tracebacks."""
        return "Identity(...)"


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One film, or one frame of a multi-frame file.

    Attributes:
        pixels: float32, 0 to 1, (channel, height, width), rows first; one channel (grey) or three
            (RGB). 0 is black on a viewing station: bone is bright whatever the file's polarity.
        spacing_mm: Millimetres between rows and between columns; None when unknown.
        provenance: What was applied on the way.
        identity: Whose film it is; None for formats that do not carry one.
        frame: Index of the frame in its file, from 0.
        reduced_by: Rows and columns of the film that a pixel stands for: 1, or 2, 4 or 8 where the
            film was read at a lower resolution; `spacing_mm` is that of the whole film all the
            same.
        whole_size: Height and width of the whole film where it was reduced.
    """

    pixels: Pixels
    spacing_mm: tuple[float, float] | None
    provenance: Provenance
    identity: Identity | None = field(default=None, repr=False)
    frame: int = 0
    reduced_by: int = 1
    whole_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole film in pixels."""
        height, width = self.pixels.shape[1:]
        return self.whole_size or (height, width)
