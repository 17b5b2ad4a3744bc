"""Near copies: pictures of one film that were turned, mirrored, resized or compressed anew.

Each film is described by its grey values along circles around its middle. Turning the film shifts
that description along the circles, so films are compared by their largest correlation over all
shifts, worked out in the Fourier domain. The product of the magnitudes there is a bound of the
correlation over all shifts and costs one matrix product, so few pairs are compared in full.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.datasets.groups import tie_groups
from pipelines.errors import PlainfilmError
from pipelines.ingest.read import read_radiograph
from pipelines.radiograph import Pixels

SAME_FILM = 0.985
"""Correlation from which on two pictures count as one film.

Of 2,189 public films of limbs with their turned copies, 99 of 100 copies reach 0.999 with another
copy of their film, and no two different films reach 0.976.
"""

_THUMBNAIL = 64
_ANGLES = 64
_INNERMOST, _OUTERMOST, _RADIUS = 2, 24, 30.0
_BLOCK = 512

Spectra = npt.NDArray[np.complex64]
_COPY_ENDING = re.compile(r"(?:[-_ ]?rotated\d*|\s*-\s*copy|\s*\(\d+\)|\s+)$", re.IGNORECASE)


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


def describe_files(paths: Sequence[Path]) -> list[Spectra | None]:
    """Describe the film in each file as `describe_circles` does; None where it cannot be read."""
    with ThreadPoolExecutor(max_workers=cpu_count()) as readers:
        return list(readers.map(_describe_file, paths))


def find_near_copies(
    described: Sequence[Spectra | None], *, known: Sequence[str] | None = None
) -> tuple[tuple[int, int], ...]:
    """Find pairs of files that show one film.

    Args:
        described: What `describe_files` gives; a film that cannot be read is like no other.
        known: Groups that are known already, one a file; pairs within a group are not looked at.

    Returns:
        Pairs of indices; whoever ties them gets the groups of near copies.
    """
    places = [place for place, spectrum in enumerate(described) if spectrum is not None]
    if not places:
        return ()
    spectra = np.stack([spectrum for spectrum in described if spectrum is not None])
    groups = [known[place] if known else str(place) for place in places]
    return tuple((places[a], places[b]) for a, b in _similar_pairs(spectra, groups))


def near_copy_groups(names: Sequence[str], described: Sequence[Spectra | None]) -> tuple[str, ...]:
    """Give each film the group of its near copies, told by name and by content.

    Args:
        names: Names below the data set's folder, one a film.
        described: What `describe_files` gives, in the same order.

    Returns:
        A name for each film, equal for near copies of one film.
    """
    originals = [original_name(name) for name in names]
    return tie_groups(originals, find_near_copies(described, known=originals))


def describe_circles(pixels: Pixels) -> Spectra:
    """Describe a film by the spectra of its grey values along circles.

    Args:
        pixels: (channel, height, width); the first channel counts.

    Returns:
        complex64, (angle frequencies, circles), of norm 1; 0 for a film without contrast.
    """
    size = (_THUMBNAIL, _THUMBNAIL)
    thumbnail = cv2.GaussianBlur(
        cv2.resize(pixels[0], size, interpolation=cv2.INTER_AREA), (0, 0), 1
    )
    middle = ((_THUMBNAIL - 1) / 2, (_THUMBNAIL - 1) / 2)
    circles = cv2.warpPolar(thumbnail, (_OUTERMOST, _ANGLES), middle, _RADIUS, cv2.INTER_LINEAR)[
        :, _INNERMOST:
    ]
    # A circle counts by its length.
    weighed = (circles - circles.mean()) * np.sqrt(np.arange(_INNERMOST, _OUTERMOST))
    norm = np.linalg.norm(weighed) * np.sqrt(_ANGLES)
    return np.asarray(np.fft.fft(weighed, axis=0) / max(norm, 1e-6), dtype=np.complex64)


def turned_correlation(first: Spectra, second: Spectra) -> float:
    """Return the largest correlation of two films over all turns, mirrored or not; -1 to 1."""
    plain = (second * first.conj()).sum(1)
    mirrored = (second * first).sum(1)
    return float(max(np.fft.ifft(each).real.max() for each in (plain, mirrored)) * _ANGLES)


def _describe_file(path: Path) -> Spectra | None:
    try:
        return describe_circles(read_radiograph(path).pixels)
    except PlainfilmError:
        return None


def _similar_pairs(spectra: Spectra, groups: Sequence[str]) -> Iterator[tuple[int, int]]:
    names, own = np.unique(np.asarray(groups), return_inverse=True)
    tied = np.arange(len(names))
    for first, second in _candidates(np.abs(spectra).reshape(len(spectra), -1)):
        here, there = tied[own[first]], tied[own[second]]
        if here != there and turned_correlation(spectra[first], spectra[second]) >= SAME_FILM:
            tied[tied == there] = here
            yield first, second


def _candidates(magnitudes: npt.NDArray[np.floating]) -> Iterable[tuple[int, int]]:
    """Pairs whose bound reaches the limit, the first index below the second."""
    for start in range(0, len(magnitudes), _BLOCK):
        bound = magnitudes[start : start + _BLOCK] @ magnitudes[start:].T
        for row, column in zip(*np.nonzero(bound >= SAME_FILM), strict=True):
            if row < column:
                yield int(start + row), int(start + column)
