"""Whether two films are one: laid on each other and compared pixel by pixel.

Films of one kind look alike when they are small: two chests agree in outline. So detail decides:
each film is reduced to what stands out from its surroundings, on an even scale, and a pair is one
film when that correlates over the disc in the middle, which a turn does not take anything from.
The rest of the way, a crop say, is found by maximising the correlation over affine maps (ECC).

References:
    Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient
    maximization, IEEE Trans. PAMI 30 (2008) 1858-1865.
"""

import functools
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.ingest.preview import Grey

SAME_FILM = 0.93
"""Correlation of detail from which on two pictures are one film."""

Map: TypeAlias = npt.NDArray[np.float32]
"""(2, 3): where a point (x, y) of the first film lies in the second one; both are 1 x 1 large."""

_COARSE = 64
_PROMISING, _LIKELY = 0.35, 0.75
"""How far the coarse detail of one film agrees before and after it is laid on exactly; what falls
short is not looked at more closely."""
_BEYOND_DOUBT = 0.97
_DISC = 0.45
_LEAST_OVERLAP = 0.7
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
_SMOOTHING = 5
_FLOOR = 2.0
_UNIT = 40.0
_WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def detail(grey: Grey) -> Grey:
    """Reduce a film to what stands out from its surroundings, on an even scale.

    Args:
        grey: The film, (side, side).

    Returns:
        uint8, of the same shape; 128 is what does not stand out.
    """
    scale = len(grey) / 128
    fine = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0 * max(scale, 0.7))
    band = fine - cv2.GaussianBlur(fine, (0, 0), 5.0 * scale)
    spread = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 8.0 * scale))
    return np.asarray((band / (spread + _FLOOR) * _UNIT + 128.5).clip(0, 255), dtype=np.uint8)


def coarse_detail(grey: Grey) -> Grey:
    """Return the detail of a film made small, for a first look at many pairs."""
    return detail(_small(grey))


def similarity(films: tuple[Grey, Grey], coarse: tuple[Grey, Grey], start: Map) -> float:
    """Lay two films on each other and correlate their detail.

    Args:
        films: Both, (side, side).
        coarse: Their `coarse_detail`.
        start: About where the first film lies in the second.

    Returns:
        -1 to 1; `SAME_FILM` or more is one film. What is clearly below is not worked out further.
    """
    placed = _in_pixels(start, _COARSE)
    agreed = _agreement(*coarse, placed)
    if agreed < _PROMISING:
        return agreed
    aligned = _aligned(_small(films[0]), _small(films[1]), placed)
    agreed, placed = max((agreed, placed), (_agreement(*coarse, aligned), aligned), key=_first)
    if agreed < _LIKELY:
        return agreed
    details = detail(films[0]), detail(films[1])
    placed = _rescaled(placed, len(films[0]) / _COARSE)
    agreed = _agreement(*details, placed)
    if agreed >= _BEYOND_DOUBT:
        return agreed
    return max(agreed, _agreement(*details, _aligned(*films, placed)))


def _first(found: tuple[float, Map]) -> float:
    return found[0]


def _small(grey: Grey) -> Grey:
    size = (_COARSE, _COARSE)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _in_pixels(placed: Map, side: int) -> Map:
    """A map of squares 1 x 1 large as one of pixels, whose centres lie at half a pixel."""
    moved = placed.copy()
    moved[:, 2] = placed[:, 2] * side + placed[:, :2].sum(1) * 0.5 - 0.5
    return moved


def _rescaled(placed: Map, factor: float) -> Map:
    half = placed[:, :2].sum(1) * 0.5 - 0.5
    moved = placed.copy()
    moved[:, 2] = (placed[:, 2] - half) * factor + half
    return moved


def _aligned(first: Grey, second: Grey, start: Map) -> Map:
    """Find the affine map that maximises the correlation; `start` where there is none."""
    disc = _disc(len(first))
    try:
        _, found = cv2.findTransformECC(
            first, second, start.copy(), cv2.MOTION_AFFINE, _STEPS, disc, _SMOOTHING
        )
    # OpenCV says so when films do not correlate.
    except cv2.error:
        return start
    return np.asarray(found, dtype=np.float32)


def _agreement(first: Grey, second: Grey, placed: Map) -> float:
    side = len(first)
    size = (side, side)
    # 0 lies beyond the second film: detail is 1 or more nearly everywhere.
    moved = cv2.warpAffine(second, placed, size, flags=_WARP, borderValue=0)
    inside = cv2.warpAffine(np.full(size, 255, np.uint8), placed, size, flags=_WARP)
    disc = _disc(side) > 0
    seen = disc & (inside == 255)  # noqa: PLR2004 - as filled above
    if seen.sum() < _LEAST_OVERLAP * disc.sum():
        return 0.0
    here, there = first[seen].astype(np.float32), moved[seen].astype(np.float32)
    here -= here.mean()
    there -= there.mean()
    norm = float(np.sqrt((here @ here) * (there @ there)))
    return float(here @ there) / norm if norm else 0.0


@functools.cache
def _disc(side: int) -> npt.NDArray[np.uint8]:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.asarray(255 * (np.hypot(rows, columns) < _DISC * side), dtype=np.uint8)
