"""Films described by their grey values along circles, in the Fourier domain along each circle.

Turning a film by an angle multiplies what is found at frequency m by a phase, m times the angle,
and mirroring it takes the complex conjugate. So how much two films agree over all turns is bounded
by the sum over frequencies of what they agree at each one, whatever the phase: one matrix product
a frequency compares all films with all.

What all films of a data set share, such as two lungs and a spine, is weighed down: at each
frequency the circles are whitened by the data set's own covariance, with the weakest directions
held back. Turns and mirror images pass through that unchanged.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.ingest.preview import Grey

Spectra = npt.NDArray[np.complex64]
"""complex64, (film, frequency, circle), each film of norm 1, or 0 for a film without detail."""

_SIDE = 64
_ANGLES = 64
_CIRCLES = 9
_FREQUENCIES = 9
_BLUR = 2.0
_REACH = 0.95
_HOLD_BACK = 0.02


class Window(NamedTuple):
    """The part of a film that a crop leaves, in shares of its height and width.

    Attributes:
        top: Where it begins.
        left: Where it begins.
        height: How high it is.
        width: How wide it is.
    """

    top: float
    left: float
    height: float
    width: float


WINDOWS = (
    Window(0.05, 0.05, 0.9, 0.9),
    *(Window(top, left, 0.92, 0.92) for top in (0, 0.08) for left in (0, 0.08)),
    Window(0.02, 0, 0.96, 0.92),
    Window(0.02, 0.08, 0.96, 0.92),
    Window(0, 0.02, 0.92, 0.96),
    Window(0.08, 0.02, 0.92, 0.96),
)
"""What is left of a film that was cropped a little: around the middle, at a corner, at a side."""


class CircleDescriptions(NamedTuple):
    """All films of a data set.

    Attributes:
        whole: The films.
        windows: The parts of them that `WINDOWS` names, in that order.
    """

    whole: Spectra
    windows: tuple[Spectra, ...]


def describe_films(greys: Sequence[Grey]) -> CircleDescriptions:
    """Describe films so that they can be compared over turns, mirror images and small crops.

    Args:
        greys: The films as squares of grey, (side, side).
    """
    whole = np.stack([_spectra(grey) for grey in greys])
    whitening = _whitening(whole)
    windows = (np.stack([_spectra(_cut(grey, window)) for grey in greys]) for window in WINDOWS)
    return CircleDescriptions(
        _whitened(whole, whitening), tuple(_whitened(each, whitening) for each in windows)
    )


def as_rows(spectra: Spectra, *, mirrored: bool = False) -> npt.NDArray[np.float32]:
    """Lay spectra out as real rows whose dot product is the correlation without any turn.

    Args:
        spectra: (film, frequency, circle).
        mirrored: Whether each film is mirrored left to right.
    """
    signs = (-1.0) ** np.arange(spectra.shape[1])[:, None] if mirrored else 1.0
    real, imaginary = spectra.real * signs, spectra.imag * (-signs if mirrored else 1.0)
    flat = np.stack([real, imaginary], axis=1).reshape(len(spectra), -1)
    return np.asarray(flat, dtype=np.float32)


class Turns(NamedTuple):
    """How the second film of each pair is turned against the first one.

    Attributes:
        angles: In radians, clockwise on the screen.
        mirrored: Whether the film is mirrored top to bottom before it is turned.
        agreed: How much the two agree then, at most 1.
    """

    angles: npt.NDArray[np.float64]
    mirrored: npt.NDArray[np.bool_]
    agreed: npt.NDArray[np.float64]


def turns_between(first: Spectra, second: Spectra) -> Turns:
    """Tell how films are turned against each other.

    Args:
        first: One film a pair.
        second: The other one.
    """
    steps = 2 * _ANGLES
    best = np.full(len(first), -np.inf)
    angles, mirrored = np.zeros(len(first)), np.zeros(len(first), dtype=bool)
    for mirror in (False, True):
        agreed = (first * (second if mirror else second.conj())).sum(2)
        over_angles = np.fft.ifft(agreed, n=steps, axis=1).real * steps
        place = over_angles.argmax(1)
        height = over_angles[np.arange(len(first)), place]
        turn = place * (2 * np.pi / steps) * (1 if mirror else -1)
        better = height > best
        best = np.where(better, height, best)
        angles, mirrored = np.where(better, turn, angles), np.where(better, mirror, mirrored)
    return Turns(angles, mirrored, agreed=best)


def agreement(some: Spectra, all_films: Spectra) -> npt.NDArray[np.float32]:
    """Bound how much films agree over all turns and mirror images.

    Args:
        some: Films, one a row of the result.
        all_films: Films, one a column.

    Returns:
        0 to 1; copies of one film stand near 1.
    """
    plain = np.zeros((len(some), len(all_films)), np.float32)
    mirrored = np.zeros_like(plain)
    for frequency in range(some.shape[1]):
        here = some[:, frequency]
        there = np.ascontiguousarray(all_films[:, frequency].T)
        plain += np.abs(here @ there.conj())
        mirrored += np.abs(here @ there)
    return np.maximum(plain, mirrored)


def _cut(grey: Grey, window: Window) -> Grey:
    side = len(grey)
    top, left = round(window.top * side), round(window.left * side)
    return grey[top : top + round(window.height * side), left : left + round(window.width * side)]


def _spectra(grey: Grey) -> Spectra:
    method = cv2.INTER_AREA if min(grey.shape) >= _SIDE else cv2.INTER_LINEAR
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=method).astype(np.float32)
    small = cv2.GaussianBlur(small, (0, 0), _BLUR)
    middle = ((_SIDE - 1) / 2, (_SIDE - 1) / 2)
    size, reach = (_CIRCLES, _ANGLES), _SIDE / 2 * _REACH
    circles = cv2.warpPolar(small, size, middle, reach, cv2.INTER_LINEAR)[:, 1:]
    spectra = np.fft.fft(circles - circles.mean(), axis=0)[:_FREQUENCIES]
    return np.asarray(spectra, dtype=np.complex64)


def _whitening(spectra: Spectra) -> npt.NDArray[np.float64]:
    """(frequency, circle, circle): the inverse root of the covariance at each frequency."""
    covariance = np.einsum("nmr,nms->mrs", spectra, spectra.conj()).real / len(spectra)
    powers, directions = np.linalg.eigh(covariance.astype(np.float64))
    held = np.maximum(powers, 0) + max(_HOLD_BACK * powers.max(), 1e-6)
    return np.asarray(np.einsum("mrk,mk,msk->mrs", directions, held**-0.5, directions))


def _whitened(spectra: Spectra, whitening: npt.NDArray[np.float64]) -> Spectra:
    white = np.einsum("nmr,mrs->nms", spectra, whitening)
    norm = np.sqrt((np.abs(white) ** 2).sum((1, 2), keepdims=True))
    return np.asarray(white / np.maximum(norm, 1e-6), dtype=np.complex64)
