"""Stored values become grey from 0 to 1: modality LUT, values of interest, polarity.

All steps depend on the stored value alone, so they are worked out once for each of the 256 or 65536
values that a container can hold and then looked up: exact, and quicker than arithmetic on pixels.
Values of interest are kept around zero until the polarity is applied, so a MONOCHROME1 film and its
MONOCHROME2 twin come out equal to the last bit.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.ingest.dicom_attributes import Attributes, refuse_invalid
from pipelines.ingest.dicom_decode import Decoded, Samples
from pipelines.ingest.dicom_layout import Photometric, PixelLayout
from pipelines.ingest.dicom_lut import FloatTable, read_table
from pipelines.ingest.reduction import LeastSize, block_means, moved_to_blocks, reduction
from pipelines.radiograph import Pixels

_LEAST_BITS = 10
"""With fewer, means of samples are not rounded: greys are averaged."""

CLIPPED_PER_THOUSAND = 5
"""Pixels beyond each end of the guessed window: it spans percentiles 0.5 to 99.5."""

Voi = Literal["lut", "window", "percentile", "full_range"]


@dataclass(frozen=True, slots=True)
class Grey:
    """A frame as grey values, and what was applied.

    Attributes:
        pixels: float32, 0 to 1, (1, height, width).
        modality_lut: As in `Provenance`.
        voi: As in `Provenance`.
        voi_function: As in `Provenance`.
        inverted: As in `Provenance`.
        flags: What a user should know.
    """

    pixels: Pixels
    modality_lut: Literal["none", "rescale", "lut"]
    voi: Voi
    voi_function: str | None
    inverted: bool
    flags: set[str]


@dataclass(frozen=True, slots=True, eq=False)
class GreyScale:
    """What the samples of one frame mean, and how they are shown: tables over contents.

    Attributes:
        values: Modality value of each content that a container can have.
        shown: Grey of each, 0 to 1, polarity applied; float32.
        modality_lut: As in `Provenance`.
        voi: As in `Provenance`.
        window: Center and width of the window that was applied; None for another `voi`.
        voi_function: As in `Provenance`.
        inverted: As in `Provenance`.
        flags: What a user should know.
    """

    values: FloatTable
    shown: npt.NDArray[np.float32]
    modality_lut: Literal["none", "rescale", "lut"]
    voi: Voi
    window: tuple[float, float] | None
    voi_function: str | None
    inverted: bool
    flags: set[str]


def render_grey(
    decoded: Decoded, layout: PixelLayout, attributes: Attributes, *, factor: int = 1
) -> Grey:
    """Apply the grey scale pipeline of PS3.3 to one frame.

    Args:
        decoded: The samples, (rows, columns).
        layout: Which bits of them count, and the photometric interpretation.
        attributes: The header.
        factor: By how much the film is reduced: what `decoded` says, or what `reducible_by` allows.

    Returns:
        The grey values.

    Raises:
        InputError: INVALID_ATTRIBUTE if the modality LUT has fewer entries than it says.
    """
    scale = grey_scale(decoded, layout, attributes)
    samples = decoded.samples
    if factor > decoded.reduced_by:
        samples = _averaged(samples, factor, signed=layout.signed)
    pixels = np.empty((1, *samples.shape), np.float32)
    look_up(samples, scale.shown, target=pixels[0])
    if decoded.off_centre:
        pixels[0] = moved_to_blocks(pixels[0], decoded.reduced_by)
    return Grey(
        pixels, scale.modality_lut, scale.voi, scale.voi_function, scale.inverted, scale.flags
    )


def reducible_by(samples: Samples, layout: PixelLayout, least_size: LeastSize | None) -> int:
    """Tell by how much samples may be averaged before they are looked up.

    Averaging first is several times quicker. It differs from averaging greys where these are cut
    off at the ends of a window, by a part of the noise; with few bits it would also round visibly,
    and contents with bits beside the sample cannot be averaged at all.

    Args:
        samples: Decoded, of full size.
        layout: Which bits of them count.
        least_size: What is needed of the film.

    Returns:
        8, 4, 2, or 1 where greys have to be averaged.
    """
    factor = reduction(samples.shape[0], samples.shape[1], least_size)
    if factor == 1 or layout.bits_stored < _LEAST_BITS or layout.shift:
        return 1
    spare = samples.dtype.itemsize * 8 - layout.bits_stored
    if spare:
        low, high = -(1 << layout.bits_stored - 1), (1 << layout.bits_stored - 1) - 1
        if not layout.signed:
            low, high = 0, high - low
        least, most, _, _ = cv2.minMaxLoc(_signed(samples) if layout.signed else samples)
        if not low <= least <= most <= high:
            return 1
    return factor


def _averaged(samples: Samples, factor: int, *, signed: bool) -> Samples:
    means = block_means(_signed(samples) if signed else samples, factor)
    averaged: Samples = means.view(samples.dtype)
    return averaged


def _signed(samples: Samples) -> npt.NDArray[np.signedinteger[Any]]:
    return samples.view(f"i{samples.dtype.itemsize}")


def grey_scale(decoded: Decoded, layout: PixelLayout, attributes: Attributes) -> GreyScale:
    """Work out the grey scale pipeline of PS3.3 for each content that a sample can have.

    Args:
        decoded: As of `render_grey`.
        layout: As of `render_grey`.
        attributes: As of `render_grey`.

    Returns:
        The tables, and what was applied.

    Raises:
        InputError: As of `render_grey`.
    """
    flags: set[str] = set()
    stored = stored_values(decoded, layout)
    modality, values = _modality(stored, attributes, signed=layout.signed, flags=flags)
    voi, function, centred = _values_of_interest(decoded.samples, values, attributes, flags)
    inverted = _inverted(layout, attributes, flags)
    shown = (0.5 - centred if inverted else 0.5 + centred).astype(np.float32)
    window = None
    if voi == "window":
        window = (attributes.numbers("WindowCenter")[0], attributes.numbers("WindowWidth")[0])
    return GreyScale(values, shown, modality, voi, window, function, inverted, flags)


def is_inverted(layout: PixelLayout, attributes: Attributes) -> bool:
    """Whether grey values have to be turned.

    DX asks for INVERSE with MONOCHROME1 (PS3.3 C.8.11.3.1): that is the same inversion, said twice.
    Against IDENTITY the pixels' own attribute is followed; some viewers follow the other one.

    Args:
        layout: With the photometric interpretation.
        attributes: The header.
    """
    turned = attributes.text("PresentationLUTShape") == "INVERSE"
    return turned or layout.photometric is Photometric.MONOCHROME1


def _inverted(layout: PixelLayout, attributes: Attributes, flags: set[str]) -> bool:
    shape = attributes.text("PresentationLUTShape")
    if layout.photometric is Photometric.MONOCHROME1 and shape == "IDENTITY":
        flags.add("polarity_contradictory")
    return is_inverted(layout, attributes)


def stored_values(decoded: Decoded, layout: PixelLayout) -> FloatTable:
    """Return the stored value of every content that a container can have.

    Bits above and below the sample do not count; a signed sample is extended from its highest bit.

    Args:
        decoded: The samples: their container, and whether to saturate.
        layout: Which bits count.

    Returns:
        float64, one value for each of the 256 or 65536 contents.
    """
    container = decoded.samples.dtype
    contents = np.arange(2 ** (8 * container.itemsize), dtype=np.int32)
    if decoded.saturate:
        if layout.signed:
            contents = contents.astype(f"i{container.itemsize}").astype(np.int32)
        half = 1 << (layout.bits_stored - 1)
        lowest = -half if layout.signed else 0
        return np.clip(contents, lowest, lowest + 2 * half - 1).astype(np.float64)
    contents >>= layout.shift
    contents &= (1 << layout.bits_stored) - 1
    if layout.signed:
        contents -= (contents >> (layout.bits_stored - 1)) << layout.bits_stored
    return contents.astype(np.float64)


def look_up(samples: Samples, table: npt.NDArray[np.float32], *, target: Pixels) -> None:
    """Replace each content by its entry.

    Args:
        samples: uint8 or uint16, (rows, columns).
        table: One entry for each possible content.
        target: Takes the result: float32, (rows, columns), contiguous.
    """
    cv2.LUT(np.ascontiguousarray(samples), table[None], dst=target)


def _modality(
    stored: FloatTable, attributes: Attributes, *, signed: bool, flags: set[str]
) -> tuple[Literal["none", "rescale", "lut"], FloatTable]:
    item = attributes.item("ModalityLUTSequence")
    if item is not None:
        table = read_table(item, signed=signed)
        if table is None:
            refuse_invalid("LUTData with the entries that LUTDescriptor says", "fewer")
        return "lut", table.apply(stored)
    slope, intercept = (
        next(iter(attributes.numbers(keyword)), default)
        for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if slope == 0:
        # It would make every film black; writers that do not rescale write it.
        flags.add("rescale_slope_zero")
        return "none", stored
    if not math.isfinite(slope + intercept):
        flags.add("rescale_invalid")
        return "none", stored
    if (slope, intercept) == (1, 0):
        return "none", stored
    return "rescale", stored * slope + intercept


def _values_of_interest(
    samples: Samples, values: FloatTable, attributes: Attributes, flags: set[str]
) -> tuple[Voi, str | None, FloatTable]:
    """Choose the values of interest and return the output range as -0.5 to 0.5."""
    item = attributes.item("VOILUTSequence")
    if item is not None:
        table = read_table(item, signed=bool(values.min() < 0))
        if table is not None:
            centred = (2 * table.apply(values) - table.maximum) / (2 * table.maximum)
            return "lut", None, np.minimum(centred, 0.5)
        flags.add("voi_lut_invalid")
    center, width = (attributes.numbers(name) for name in ("WindowCenter", "WindowWidth"))
    function = attributes.text("VOILUTFunction") or "LINEAR"
    if function not in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}:
        flags.add("voi_function_unknown")
        function = "LINEAR"
    if center and width:
        if _usable(center[0], width[0], function):
            return "window", function, window(values, center[0], width[0], function=function)
        flags.add("window_invalid")
    flags.add("voi_guessed")
    low, high = _percentiles(samples, values)
    if low == high:
        flags.add("flat")
        return "percentile", None, np.zeros_like(values)
    return "percentile", None, _ramp(values, low, high)


def _usable(center: float, width: float, function: str) -> bool:
    # NaN fails each comparison.
    return math.isfinite(center) and (width >= 1 if function == "LINEAR" else width > 0)


def window(values: FloatTable, center: float, width: float, *, function: str) -> FloatTable:
    """Apply a window (PS3.3 C.11.2.1.2 and C.11.2.1.3), with the output range -0.5 to 0.5.

    Args:
        values: Modality values.
        center: Of the window.
        width: Of the window: at least 1 for LINEAR, positive for the others.
        function: `LINEAR`, `LINEAR_EXACT` or `SIGMOID`.

    Returns:
        Values from -0.5 to 0.5, of the same shape.
    """
    # A window narrower than the spacing of floats overflows to the end that is meant.
    with np.errstate(all="ignore"):
        if function == "SIGMOID":
            return 0.5 * np.tanh(2 * (values - center) / width)
        if function == "LINEAR_EXACT":
            return np.clip((values - center) / width, -0.5, 0.5)
        if width == 1:
            return np.where(values > center - 0.5, 0.5, -0.5)
        return np.clip((values - (center - 0.5)) / (width - 1), -0.5, 0.5)


def _ramp(values: FloatTable, low: float, high: float) -> FloatTable:
    # Written so that turning values, low and high around changes the sign and nothing else.
    return np.clip(((values - low) - (high - values)) / (2 * (high - low)), -0.5, 0.5)


def _percentiles(samples: Samples, values: FloatTable) -> tuple[float, float]:
    """Return modality values at percentiles 0.5 and 99.5; the extremes where those are equal."""
    contents = len(values)
    counts = cv2.calcHist([np.ascontiguousarray(samples)], [0], None, [contents], [0, contents])
    present = np.flatnonzero(counts)
    order = present[np.argsort(values[present], kind="stable")]
    passed = np.cumsum(counts.ravel()[order].astype(np.int64))
    beyond = samples.size * CLIPPED_PER_THOUSAND // 1000
    low = values[order[np.searchsorted(passed, beyond, side="right")]]
    high = values[order[np.searchsorted(passed, passed[-1] - 1 - beyond, side="right")]]
    if low == high:
        low, high = values[order[0]], values[order[-1]]
    return float(low), float(high)
