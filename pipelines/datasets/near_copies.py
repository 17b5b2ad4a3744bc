"""Near copies: pictures of one film, turned, mirrored, resized, compressed anew or cropped.

Each film is described by its grey values along circles (`circles`), which finds the few films that
it may be a copy of, and how it would lie on them. Only these pairs are compared pixel by pixel
(`matching`), and that alone decides.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.datasets.circles import (
    WINDOWS,
    CircleDescriptions,
    Window,
    agreement,
    as_rows,
    describe_films,
    turns_between,
)
from pipelines.datasets.matching import (
    SAME_FILM,
    Map,
    coarse_detail,
    similarity,
)
from pipelines.ingest.preview import Grey
from pipelines.progress import progress

_NEAREST = 3
"""How many films are looked at for each, by turns and by crops apart: of many copies of a film each
finds some, and together they are tied."""

_LEAST_TURNED, _LEAST_CROPPED = 0.87, 0.88
_BLOCK = 512
_FEW = 2000
_LEAST_CONTRAST = 4.0
"""Standard deviation of grey values, of 255; a film below it shows nothing."""

_COPY_ENDING = re.compile(r"(?:[-_ ]?rotated\d*|\s*-\s*copy|\s*\(\d+\)|\s+)$", re.IGNORECASE)

_Rows = npt.NDArray[np.float32]
_Pairs = npt.NDArray[np.int64]


class NearCopy(NamedTuple):
    """Two pictures of one film.

    Attributes:
        first: Index of the one.
        second: Index of the other, larger than `first`.
        similarity: Correlation of their detail when laid on each other, `SAME_FILM` to 1.
    """

    first: int
    second: int
    similarity: float


def original_name(name: str) -> str:
    """Take off what copying and turning tools have added to the name of a file.

    Args:
        name: Path with `/`; folders stay, the suffix goes.

    Examples:
        >>> original_name("fractured/12-rotated1-rotated3 - Copy (1).jpg")
        'fractured/12'
        >>> original_name("IMG0002.jpg")
        'IMG0002'
    """
    path = PurePosixPath(name)
    stem = path.stem
    while (shorter := _COPY_ENDING.sub("", stem)) and shorter != stem:
        stem = shorter
    return path.with_name(stem).as_posix() if stem else name


def find_near_copies(greys: Sequence[Grey | None]) -> tuple[NearCopy, ...]:
    """Find pairs of pictures that show one film.

    Args:
        greys: The films as squares of grey, (side, side); one that could not be read, or shows
            nothing, is like no other.

    Returns:
        Pairs that were compared pixel by pixel, ascending. Of many copies of one film not every
        pair is among them; whoever ties the pairs gets the groups.
    """
    places = [
        place
        for place, grey in enumerate(greys)
        if grey is not None and grey.std() >= _LEAST_CONTRAST
    ]
    films = [grey for grey in greys if grey is not None and grey.std() >= _LEAST_CONTRAST]
    if len(films) < 2:  # noqa: PLR2004 - a pair
        return ()
    described = describe_films(films)
    pairs = _candidates(described)
    starts = _starts(described, pairs)
    coarse = [coarse_detail(film) for film in films]

    def compare(number: int) -> float:
        first, second = pairs[number]
        details = (coarse[first], coarse[second])
        return similarity((films[first], films[second]), details, starts[number])

    with ThreadPoolExecutor(max_workers=cpu_count()) as workers:
        compared = workers.map(compare, range(len(pairs)))
        if len(films) > _FEW:
            compared = progress(compared, "comparing", total=len(pairs), unit="pair")
        return tuple(
            NearCopy(places[first], places[second], round(value, 4))
            for (first, second), value in zip(pairs.tolist(), compared, strict=True)
            if value >= SAME_FILM
        )


def _candidates(described: CircleDescriptions) -> _Pairs:
    """The pairs to look at, (pair, 2), each once and ascending."""
    count = len(described.whole)
    wanted = min(_NEAREST, count - 1)
    plain, mirrored = (as_rows(described.whole, mirrored=m) for m in (False, True))
    windows = [as_rows(each) for each in described.windows]
    found: set[tuple[int, int]] = set()
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        turned = agreement(described.whole[block], described.whole)
        cropped = np.full_like(turned, -1)
        for window in windows:
            for whole in (plain, mirrored):
                np.maximum(cropped, window[block] @ whole.T, out=cropped)
        for values, least in ((turned, _LEAST_TURNED), (cropped, _LEAST_CROPPED)):
            found.update(_nearest(values, start=start, wanted=wanted, least=least))
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def _nearest(values: _Rows, *, start: int, wanted: int, least: float) -> Iterator[tuple[int, int]]:
    rows = np.arange(len(values))
    values[rows, start + rows] = -1
    nearest = np.argpartition(-values, wanted - 1, axis=1)[:, :wanted]
    for row, columns in enumerate(nearest.tolist()):
        for column in columns:
            if values[row, column] >= least:
                yield min(start + row, column), max(start + row, column)


def _starts(described: CircleDescriptions, pairs: _Pairs) -> list[Map]:
    """About how the first film of each pair lies in the second: the best of all ways looked at."""
    first, second = pairs.T
    turns = turns_between(described.whole[first], described.whole[second])
    maps = [
        _turn(angle, mirrored=bool(mirrored))
        for angle, mirrored in zip(turns.angles, turns.mirrored, strict=True)
    ]
    best = turns.agreed
    for mirrored in (False, True):
        whole = as_rows(described.whole, mirrored=mirrored)
        for window, spectra in zip(WINDOWS, described.windows, strict=True):
            rows = as_rows(spectra)
            placed = _crop(window, mirrored=mirrored)
            for cut, uncut, way in (
                (first, second, placed),
                (second, first, cv2.invertAffineTransform(placed)),
            ):
                agreed = np.einsum("pd,pd->p", rows[cut], whole[uncut])
                for place in np.flatnonzero(agreed > best):
                    maps[place] = np.asarray(way, dtype=np.float32)
                best = np.maximum(best, agreed)
    return maps


def _turn(angle: float, *, mirrored: bool) -> Map:
    """A turn about the middle, after mirroring top to bottom."""
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([1, -1 if mirrored else 1])
    moved = 0.5 - linear.sum(1) * 0.5
    return np.column_stack([linear, moved]).astype(np.float32)


def _crop(window: Window, *, mirrored: bool) -> Map:
    """Where a film lies in what a crop has left of it, mirrored left to right or not."""
    wide, high = 1 / window.width, 1 / window.height
    across = (-wide, 1 + window.left * wide) if mirrored else (wide, -window.left * wide)
    return np.array([[across[0], 0, across[1]], [0, high, -window.top * high]], dtype=np.float32)
