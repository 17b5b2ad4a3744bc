"""From a decoded DICOM frame to modality values of 16 bits, for a viewer."""

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.ingest.dicom_decode import Decoded
from pipelines.ingest.dicom_grey import GreyScale
from pipelines.ingest.film_values import CURVE_POINTS, FilmValues, Samples, ViewWindow

_LARGEST = 65_535


def film_values(decoded: Decoded, scale: GreyScale, *, bits: int) -> FilmValues:
    """Number the modality values of a frame from 0, and say how they are shown.

    Args:
        decoded: The frame.
        scale: What its samples mean.
        bits: Bits stored per sample.

    Returns:
        The film. Modality values are kept exactly where 65536 steps hold them.
    """
    present = _present(decoded.samples, contents=len(scale.values))
    values = scale.values[present]
    first, last = float(values.min()), float(values.max())
    step = max(_finest(scale.values), (last - first) / _LARGEST)
    numbers = np.rint((scale.values - first) / step).clip(0, _LARGEST).astype(np.uint16)
    return FilmValues(
        samples=np.asarray(numbers[decoded.samples]),
        first=first,
        step=step,
        curve=_curve(numbers[present], scale.shown[present]),
        window=_window(values, scale, scale.shown[present]),
        source=scale.voi,
        inverted=scale.inverted,
        bits=bits,
    )


def _present(samples: npt.NDArray[np.generic], *, contents: int) -> npt.NDArray[np.intp]:
    counts = cv2.calcHist([np.ascontiguousarray(samples)], [0], None, [contents], [0, contents])
    return np.flatnonzero(counts)


def _finest(values: npt.NDArray[np.float64]) -> float:
    """The least difference between two values: the slope of a rescale, 1 without any."""
    different = np.unique(values)
    return float(np.diff(different).min()) if different.size > 1 else 1.0


def _curve(numbers: Samples, shown: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    order = np.argsort(numbers, kind="stable")
    largest = int(numbers.max())
    points = np.linspace(0, largest, min(largest + 1, CURVE_POINTS))
    return np.interp(points, numbers[order], shown[order]).astype(np.float32)


def _window(
    values: npt.NDArray[np.float64], scale: GreyScale, shown: npt.NDArray[np.float32]
) -> ViewWindow:
    if scale.window is not None:
        return ViewWindow(*scale.window, scale.voi_function or "LINEAR")
    upright = 1 - shown if scale.inverted else shown
    dark, bright = values[upright <= 0], values[upright >= 1]
    low = float(dark.max()) if dark.size else float(values.min())
    high = float(bright.min()) if bright.size else float(values.max())
    # A flat film, or a table that falls, has no such span.
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return ViewWindow((low + high) / 2, max(high - low, 1.0), "LINEAR_EXACT")
