"""Crops of a film's bones, each in the bone's own frame, with what a first network said there.

The frames come from that network's masks, in training as in prediction.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.radiograph import Pixels
from pipelines.transforms.bone_frames import BoneFrame, Plane, Pyramid, find_frames, footprint
from pipelines.transforms.letterbox import Letterbox

Crops: TypeAlias = npt.NDArray[np.float32]
"""(bones, height, width), each in the frame of its bone."""

_LEAST_DEVIATION = 0.02
_SURE = 30.0


class Coarse(Protocol):
    """A first network that finds bones, roughly."""

    def __call__(self, film: Pixels) -> tuple[npt.NDArray[np.float32], Letterbox]:
        """Return logits (bones, height, width) at its own size, and how the film lies there.

        Args:
            film: Stretched to 0 to 1, (1, height, width).
        """

    def decide(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """Turn logits (bones, height, width) into masks of the same size, one piece each."""


class FilmFrames:
    """The frames of a film's bones, and what is cut out there.

    Args:
        logits: What the first network said, (bones, height, width).
        masks: The same, decided.
        placement: How the film lies in the first network's rectangle.
        classes: Names of the bones.
        margin: See `find_frames`.

    Attributes:
        frames: The frame of each bone on the film; None of a bone that was not found.
    """

    def __init__(
        self,
        logits: npt.NDArray[np.float32],
        masks: npt.NDArray[np.bool_],
        *,
        placement: Letterbox,
        classes: Sequence[str],
        margin: float,
    ) -> None:
        self._logits = logits
        self._coarse = find_frames(masks, classes=classes, margin=margin)
        self.frames = [
            None if frame is None else frame.placed(placement.matrix) for frame in self._coarse
        ]

    def film(self, film: Pixels, shape: tuple[int, int], *, span: float = 1.0) -> Crops:
        """Cut the bones out of the film, (1, height, width); 0 for a bone without a frame."""
        picture = Pyramid(np.asarray(film[0], dtype=np.float32))
        return np.stack([_cut(picture, frame, shape, span) for frame in self.frames])

    def coarse(self, shape: tuple[int, int], *, span: float = 1.0) -> Crops:
        """Cut out what the first network said: probabilities, 0 to 1."""
        crops = []
        for plane, frame in zip(self._logits, self._coarse, strict=True):
            chances = np.zeros(plane.shape, np.float32)
            if frame is not None:
                # The rest of a film has no part in the crop.
                part = footprint(frame, (plane.shape[0], plane.shape[1]), shape, span=span)
                chances[part] = _chances(plane[part])
            crops.append(_cut(Pyramid(chances), frame, shape, span))
        return np.stack(crops)

    def layers(
        self, layers: npt.NDArray[np.int32], shape: tuple[int, int], *, span: float = 1.0
    ) -> Crops:
        """Cut each bone's true mask out of layers (1, height, width): shares of area, 0 to 1."""
        crops = []
        for bone, frame in enumerate(self.frames):
            # Of 29 masks of a whole film only what surrounds each bone is unpacked.
            bounds = None if frame is None else frame.bounds(layers.shape[1:], span)
            if frame is None or bounds is None or not layers[0][bounds].size:
                crops.append(np.zeros(shape, np.float32))
                continue
            mask = ((layers[0][bounds] >> bone) & 1).astype(np.float32)
            crops.append(Pyramid(mask).cut(frame.inside(bounds), shape, span=span))
        return np.stack(crops)


def _cut(picture: Pyramid, frame: BoneFrame | None, shape: tuple[int, int], span: float) -> Plane:
    if frame is None:
        return np.zeros(shape, np.float32)
    return picture.cut(frame, shape, span=span)


def _chances(logits: Plane) -> Plane:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -_SURE, _SURE))), dtype=np.float32)


def join_crops(film: Crops, coarse: Crops) -> npt.NDArray[np.float32]:
    """Make what the refiner takes.

    Args:
        film: The film in each frame, 0 to 1.
        coarse: What the first network said there, 0 to 1.

    Returns:
        float32, (2 bones, height, width): each crop of the film with mean 0 and deviation 1, since
        bones of one film are lit differently; then the other, from -1 to 1.
    """
    mean = film.mean(axis=(1, 2), keepdims=True)
    deviation = np.maximum(film.std(axis=(1, 2), keepdims=True), _LEAST_DEVIATION)
    joined = np.concatenate([(film - mean) / deviation, 2 * coarse - 1])
    return np.ascontiguousarray(joined, dtype=np.float32)
