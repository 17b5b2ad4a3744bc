"""Transforms that make a film the crops of its bones, and change those for training.

Frames come from a first network's masks, in training as in prediction, so that its mistakes are in
the data as they are in life.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from pipelines.errors import ConfigurationError, Reason
from pipelines.transforms.bone_crops import Coarse, Crops, FilmFrames, join_crops
from pipelines.transforms.bone_frames import Affine, compose

_KNOTS = 4
_HALF = 128
_FULL = 255


class CutBonesd(MapTransform):
    """Replace a film by the crops of its bones; `coarse` gets what the first network says there.

    Args:
        keys: Key of the film, stretched to 0 to 1, (1, height, width).
        coarse: The first network.
        classes: Names of the bones, in the order of its maps.
        height: Height of a crop that shows a box.
        width: Width of it.
        margin: See `find_frames`.
        span: How many boxes along each side a crop shows; more than 1 leaves room to move.
        fineness: Crops have so many pixels along each pixel that `height` and `width` ask for.
        label_key: Key of the layers, replaced by masks in the same frames, uint8, 0 to 255, the
            share of each pixel that is bone; it may be missing.
    """

    def __init__(  # noqa: PLR0913 - what a crop is
        self,
        keys: KeysCollection,
        *,
        coarse: Coarse,
        classes: Sequence[str],
        height: int,
        width: int,
        margin: float,
        span: float = 1.0,
        fineness: float = 1.0,
        label_key: str = "label",
    ) -> None:
        super().__init__(keys)
        self.coarse = coarse
        self.classes = tuple(classes)
        self.shape = (round(height * span * fineness), round(width * span * fineness))
        self.margin = margin
        self.span = span
        self.label_key = label_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Cut the bones out."""
        item = dict(data)
        for key in self.key_iterator(item):
            film = np.asarray(item[key], dtype=np.float32)
            logits, placement = self.coarse(film)
            frames = FilmFrames(
                logits,
                self.coarse.decide(logits),
                placement=placement,
                classes=self.classes,
                margin=self.margin,
            )
            item[key] = torch.from_numpy(frames.film(film, self.shape, span=self.span))
            item["coarse"] = _as_bytes(frames.coarse(self.shape, span=self.span))
            if item.get(self.label_key) is not None:
                layers = np.asarray(item[self.label_key])
                truth = frames.layers(layers, self.shape, span=self.span)
                item[self.label_key] = _as_bytes(truth)
        return item


def _as_bytes(crops: Crops) -> torch.Tensor:
    return torch.from_numpy(np.rint(crops * _FULL).astype(np.uint8))


class RandReframed(RandomizableTransform):
    """Move each bone in its frame, as other mistakes of the first network would.

    Film and truth move together. What the first network said stays where it is, since frames come
    from it, but for a smaller move and a bend of its own.

    Args:
        height: Height of the crops that come out.
        width: Width of them.
        span: How many boxes along each side the crops show that come in.
        degrees: Standard deviation of the turn.
        zoom: Standard deviation of the logarithm of the zoom, along and across apart.
        shift: Standard deviation of the shift, in shares of half a box.
        astray: How much of all this the first network's answer moves by itself.
        bend: Standard deviation of its bend, in shares of half a box.
        prob: Probability that the bones of a film move.

    Raises:
        ConfigurationError: If `span` is below 1.
    """

    def __init__(  # noqa: PLR0913 - every magnitude is a key of a config
        self,
        height: int,
        width: int,
        *,
        span: float,
        degrees: float = 5.0,
        zoom: float = 0.06,
        shift: float = 0.06,
        astray: float = 0.3,
        bend: float = 0.03,
        prob: float = 0.9,
    ) -> None:
        super().__init__(prob)
        if span < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected a span of 1 or more, got {span}"
            )
        self.shape = (height, width)
        self.span = span
        self.degrees = degrees
        self.zoom = zoom
        self.shift = shift
        self.astray = astray
        self.bend = bend

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Move `image` and `label`, and `coarse` a little."""
        item = dict(data)
        self.randomize(None)
        image, coarse, label = (np.asarray(item[key]) for key in ("image", "coarse", "label"))
        moves = self.R.normal(0, 1, (len(image), 2, 5)) * self._do_transform
        bends = self.R.normal(0, self.bend * self._do_transform, (len(image), _KNOTS, _KNOTS, 2))
        item["image"], item["coarse"], item["label"] = (
            np.empty((len(image), *self.shape), np.float32) for _ in range(3)
        )
        for bone, (move, bent) in enumerate(zip(moves, bends, strict=True)):
            placed = self._map(image.shape[1:], move[0], 1.0)
            astray = self._map(image.shape[1:], move[1], self.astray)
            item["image"][bone] = self._warp(image[bone], placed)
            item["label"][bone] = self._warp(label[bone], placed)
            item["coarse"][bone] = self._bent(coarse[bone], astray, bent)
        return item

    def _map(self, source: tuple[int, ...], move: npt.NDArray[np.float64], share: float) -> Affine:
        """From a pixel of a crop that comes out to one of a crop that comes in."""
        turn, down, across, *shift = move * share
        angle = np.deg2rad(turn * self.degrees)
        height, width = self.shape
        # Turns are about the pixels of the crop, whose sides are not in proportion to the box.
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turned @ np.diag(np.exp(np.array([across, down]) * self.zoom))
        sides = np.array([width, height])
        middle = (sides - 1) / 2
        offset = middle - matrix @ middle + np.array(shift) * self.shift * sides / 2
        scale = np.array(source[::-1]) / self.span / sides
        into = np.column_stack([np.diag(scale), (np.array(source[::-1]) - 1) / 2 - scale * middle])
        return compose(into, np.column_stack([matrix, offset]))

    def _warp(self, plane: npt.NDArray[Any], placed: Affine) -> npt.NDArray[np.float32]:
        warped = cv2.warpAffine(
            plane, placed, self.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        return np.asarray(warped, dtype=np.float32)

    def _bent(
        self, plane: npt.NDArray[Any], placed: Affine, bend: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        height, width = self.shape
        across, down = np.arange(width), np.arange(height)
        field = cv2.resize(bend.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        half = np.array(plane.shape[::-1]) / self.span / 2
        columns, rows = (
            line[0] * across[None, :] + line[1] * down[:, None] + line[2] + field[..., axis] * side
            for axis, (line, side) in enumerate(zip(placed, half, strict=True))
        )
        bent = cv2.remap(
            plane, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR
        )
        return np.asarray(bent, dtype=np.float32)


class JoinCropsd(MapTransform):
    """Make what the refiner takes of `image` and `coarse`, and masks of shares of area.

    Args:
        keys: Key of the crops of a film, 0 to 1, (bones, height, width).
        label_key: Key of the shares, 0 to 255; it may be missing.
    """

    def __init__(self, keys: KeysCollection, *, label_key: str = "label") -> None:
        super().__init__(keys)
        self.label_key = label_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Join film and first answer; decide the label at half of each pixel."""
        item = dict(data)
        for key in self.key_iterator(item):
            coarse = np.asarray(item["coarse"], dtype=np.float32) / np.float32(_FULL)
            joined = join_crops(np.asarray(item[key], dtype=np.float32), coarse)
            item[key] = torch.from_numpy(joined)
            if item.get(self.label_key) is not None:
                truth = np.asarray(item[self.label_key]) >= _HALF
                item[self.label_key] = torch.from_numpy(truth.view(np.uint8))
        return item
