"""A film as the page shows it: its values in 16 bits, so that the window is set in the browser."""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.ingest.film_values import FilmValues
from pipelines.radiograph import Radiograph

MEDIA_TYPE = "application/vnd.plainfilm.view"
LONGEST_SIDE = 1536
"""Pixels of the longer side that are sent unless a client asks for others."""

_EVEN = 2


def view_bytes(
    film: FilmValues | Radiograph, *, longest: int = LONGEST_SIDE, frames: int = 1
) -> bytes:
    """Write a film for a viewer: the length of a JSON text, the text, the samples.

    The length is a little-endian number of four bytes; the text is filled up with blanks so that
    samples begin at an even place. Grey samples are little-endian uint16, rows first; colour is
    red, green and blue, a byte each.

    Args:
        film: A grey film before its window, or a film in colour.
        longest: Length of the longer side in pixels; a larger film is shrunk by averaging areas,
            before any window.
        frames: How many frames its file has.

    Returns:
        The bytes.
    """
    if isinstance(film, FilmValues):
        samples = _shrunk(film.samples, longest)
        about = {"frames": frames, **_about_values(film)}
        return _joined(about, samples, size=film.samples.shape)
    levels = np.rint(film.pixels.clip(0, 1) * 255).astype(np.uint8)
    colour = np.ascontiguousarray(np.moveaxis(levels, 0, -1))
    about = {"frames": frames, "colour": True}
    return _joined(about, _shrunk(colour, longest), size=colour.shape[:2])


def _about_values(film: FilmValues) -> Mapping[str, object]:
    return {
        "colour": False,
        "first": film.first,
        "step": film.step,
        "top": int(film.samples.max()),
        "curve": np.rint(film.curve * 255).astype(int).tolist(),
        "window": asdict(film.window),
        "source": film.source,
        "inverted": film.inverted,
        "bits": film.bits,
    }


def _joined(
    about: Mapping[str, object], samples: npt.NDArray[np.generic], *, size: tuple[int, ...]
) -> bytes:
    film = {"film_rows": size[0], "film_columns": size[1]}
    sent = {"rows": samples.shape[0], "columns": samples.shape[1]}
    text = json.dumps({**about, **film, **sent}, allow_nan=False).encode("ascii")
    text += b" " * (len(text) % _EVEN)
    return (
        struct.pack("<I", len(text))
        + text
        + samples.astype(samples.dtype.newbyteorder("<")).tobytes()
    )


def _shrunk(planes: npt.NDArray[np.generic], longest: int) -> npt.NDArray[np.generic]:
    share = longest / max(planes.shape[:2])
    if share >= 1:
        return planes
    height, width = (max(1, round(side * share)) for side in planes.shape[:2])
    return np.asarray(cv2.resize(planes, (width, height), interpolation=cv2.INTER_AREA))
