"""A film as a viewer wants it: its values before any window, and the window it begins with."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.radiograph import Radiograph

Samples = npt.NDArray[np.uint16]
"""uint16, (height, width), rows first."""

MOST_BITS = 16
CURVE_POINTS = 4096
"""Most points of a curve: as many as a film of 12 bits has values."""


@dataclass(frozen=True, slots=True)
class ViewWindow:
    """A window (PS3.3 C.11.2.1.2), in modality values.

    Attributes:
        center: Of the window.
        width: Of the window.
        function: `LINEAR`, `LINEAR_EXACT` or `SIGMOID`.
    """

    center: float
    width: float
    function: str


@dataclass(frozen=True, slots=True, eq=False)
class FilmValues:
    """A grey film before its window.

    Attributes:
        samples: The film; sample s stands for the modality value `first + step * s`.
        first: The least modality value on the film.
        step: What one more means, above 0.
        curve: float32, 0 to 1: how the file wants the samples shown, and the network gets them,
            polarity applied; its points lie evenly from sample 0 to the largest sample.
        window: A window to begin with; that of the file where it names one, otherwise one that
            spans the same values.
        source: What `curve` comes from, as `Provenance.voi` names it.
        inverted: Whether large values are dark.
        bits: Bits stored per sample in the file.
    """

    samples: Samples
    first: float
    step: float
    curve: npt.NDArray[np.float32]
    window: ViewWindow
    source: str
    inverted: bool
    bits: int


def values_of(film: Radiograph) -> FilmValues:
    """Return the stored values of a grey film whose file names no window: PNG, JPEG, TIFF.

    Args:
        film: Of one channel.

    Returns:
        Its values, as whole numbers of its bits, 16 at most, shown from the least to the largest
        that its bits can hold.
    """
    bits = min(film.provenance.bits, MOST_BITS)
    largest = 2**bits - 1
    samples = np.rint(film.pixels[0] * largest).astype(np.uint16)
    top = int(samples.max())
    return FilmValues(
        samples=samples,
        first=0.0,
        step=1.0,
        curve=np.linspace(0, top / largest, min(top + 1, CURVE_POINTS), dtype=np.float32),
        window=ViewWindow(2.0 ** (bits - 1), 2.0**bits, "LINEAR"),
        source=film.provenance.voi,
        inverted=False,
        bits=film.provenance.bits,
    )
