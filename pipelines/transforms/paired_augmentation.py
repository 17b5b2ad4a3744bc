"""Random changes for films with masks: where things lie changes in both, what is covered in one.

One map says for every pixel where it comes from; the film is read there between pixels, the layers
at the nearest one. Layers that are finer than the film are read at a random place inside each
pixel, so that a pixel that an outline cuts belongs to the structure as often as its share of the
area: what is learnt is the share, and outlines at the film's own size come out sharper than pixels.
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
from pipelines.radiograph import Pixels
from pipelines.transforms.augmentation import RandomFilmTransform
from pipelines.transforms.polygons import Layers

_KNOTS = 6
"""Points in each direction whose displacement is drawn for a bend; between them it is smooth."""


class RandWarpd(RandomizableTransform, MapTransform):
    """Mirror, turn, zoom, shift and bend films together with their layers.

    What comes in from outside is black and belongs to nothing.

    Args:
        keys: Keys of films, float32, (channel, height, width), first, all of one size; and of
            layers, int32, (1, height, width), of the same size or finer.
        degrees: Largest turn to either side.
        zoom: Smallest and largest zoom; above 1 enlarges.
        shift: Largest shift as a share of the side.
        flip_prob: Probability of mirroring left and right.
        swaps: Pairs of channels that change places when a film is mirrored, such as left and right
            lung.
        elastic: Standard deviation of the bend's displacement as a share of the side; 0.01 is a
            lot.
        elastic_prob: Probability of a bend.
        crop: Height and width that are cut out at random at full scale; None keeps the whole film.
        prob: Probability of any change but the crop.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(  # noqa: PLR0913 - every magnitude is a key of a config
        self,
        keys: KeysCollection,
        *,
        degrees: float = 15.0,
        zoom: Sequence[float] = (0.85, 1.15),
        shift: float = 0.06,
        flip_prob: float = 0.5,
        swaps: Sequence[Sequence[int]] = (),
        elastic: float = 0.004,
        elastic_prob: float = 0.5,
        crop: int | None = None,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        if not 0 < zoom[0] <= zoom[1]:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a smallest zoom above 0 and up to the largest, got {list(zoom)}",
            )
        self.degrees = degrees
        self.zoom = (float(zoom[0]), float(zoom[1]))
        self.shift = shift
        self.flip_prob = flip_prob
        self.swaps = tuple((int(pair[0]), int(pair[1])) for pair in swaps)
        self.elastic = elastic
        self.elastic_prob = elastic_prob
        self.crop = crop

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Change all keys by one map, or only crop them."""
        item = dict(data)
        self.randomize(None)
        self.draw()
        size, sources = None, None
        for key in self.key_iterator(item):
            planes = np.asarray(item[key])
            if size is None or sources is None:
                size = (planes.shape[1], planes.shape[2])
                sources = self._sources(*size)
            if planes.shape[1:] == size:
                changed = warp(planes, *sources)
            else:
                changed = warp(planes, *self._inside_pixels(*sources, size=size, planes=planes))
            if planes.dtype == np.int32 and self._mirrored:
                changed = swap_channels(changed, self.swaps)
            item[key] = torch.from_numpy(changed)
        return item

    def draw(self) -> None:
        """Draw the map: the same number of draws whatever comes of them."""
        uniform = self.R.uniform
        angle = np.deg2rad(uniform(-1, 1) * self.degrees)
        zoom = np.exp(uniform(*np.log(self.zoom)))
        self._shift = uniform(-1, 1, 2) * self.shift
        self._mirrored = bool(uniform() < self.flip_prob) and self._do_transform
        self._bend = self.R.normal(0, self.elastic, (_KNOTS, _KNOTS, 2)).astype(np.float32)
        self._bends = bool(uniform() < self.elastic_prob and self.elastic > 0)
        self._place = uniform(0, 1, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._matrix = np.diag([-1.0 if self._mirrored else 1.0, 1.0]) @ turn / zoom
        if not self._do_transform:
            self._matrix, self._shift, self._bends = np.eye(2), np.zeros(2), False

    def _sources(self, height: int, width: int) -> tuple[Any, Any]:
        """Column and row that each pixel comes from, float32, (height, width) of the result."""
        sides = np.array([width, height])
        window = sides if self.crop is None else np.minimum(sides, self.crop)
        # The result lies somewhere in the changed film, whose middle is that of the film.
        corner = np.floor(self._place * (sides - window + 1)) - (sides - 1) / 2
        across, down = (corner[axis] + np.arange(window[axis]) for axis in (0, 1))
        offset = (sides - 1) / 2 + self._shift * sides
        columns, rows = (
            (line[0] * across[None, :] + line[1] * down[:, None] + offset[axis]).astype(np.float32)
            for axis, line in enumerate(self._matrix)
        )
        if self._bends:
            size = (int(window[0]), int(window[1]))
            bend = cv2.resize(self._bend, size, interpolation=cv2.INTER_CUBIC)
            columns += bend[..., 0] * np.float32(width)
            rows += bend[..., 1] * np.float32(height)
        return columns, rows

    def _inside_pixels(
        self, columns: Pixels, rows: Pixels, *, size: tuple[int, int], planes: Layers
    ) -> tuple[Any, Any]:
        """Where each pixel of finer layers comes from: anywhere inside the pixel's area."""
        random = np.random.default_rng(self.R.randint(0, 2**32, dtype=np.uint64))
        across, down = random.random((2, *columns.shape), dtype=np.float32) - np.float32(0.5)
        placed = []
        for line, source, sides in zip(
            self._matrix.astype(np.float32), (columns, rows), (2, 1), strict=True
        ):
            finer = np.float32(planes.shape[sides] / size[sides - 1])
            inside = source + line[0] * across + line[1] * down
            placed.append((inside + np.float32(0.5)) * finer - np.float32(0.5))
        return placed[0], placed[1]


def warp(planes: npt.NDArray[Any], columns: Pixels, rows: Pixels) -> npt.NDArray[Any]:
    """Fetch every pixel from somewhere else.

    Args:
        planes: float32 films (channel, height, width), read between pixels; or int32 layers
            (1, height, width), read at the nearest one.
        columns: Where each pixel comes from, float32, (height, width) of the result.
        rows: The same, down.

    Returns:
        The same type, (channel, height, width) of the result; 0 where it comes from outside.
    """
    if planes.dtype == np.int32:
        # As four bytes, since OpenCV fetches no integers of 32 bits.
        octets = np.ascontiguousarray(planes[0])[..., None].view(np.uint8)
        fetched = cv2.remap(octets, columns, rows, cv2.INTER_NEAREST)
        return np.ascontiguousarray(fetched).view(np.int32)[None, ..., 0]
    films = planes.astype(np.float32, copy=False)
    return np.stack([cv2.remap(plane, columns, rows, cv2.INTER_LINEAR) for plane in films])


def swap_channels(layers: Layers, swaps: Sequence[tuple[int, int]]) -> Layers:
    """Let pairs of channels change places.

    Args:
        layers: int32, one bit a channel.
        swaps: The pairs.

    Returns:
        int32, the same shape.

    Examples:
        >>> swap_channels(np.array([[[1, 2, 5]]], np.int32), [(0, 1)]).tolist()
        [[[2, 1, 6]]]
    """
    for one, other in swaps:
        differs = (layers >> one ^ layers >> other) & 1
        layers = layers ^ (differs << one | differs << other)
    return layers


class RandCoarseDropoutd(RandomFilmTransform):
    """Cover rectangles of a film with one grey each, so that what lies beside them must tell.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        holes: Most rectangles.
        size: Smallest and largest side as a share of the film's.
        prob: Probability of any rectangle.
        allow_missing_keys: Pass over keys that an item lacks.

    References:
        DeVries and Taylor, Improved regularization of convolutional neural networks with cutout,
        arXiv 1708.04552 (2017).
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        holes: int = 6,
        size: Sequence[float] = (0.03, 0.12),
        prob: float = 0.2,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.holes = holes
        self.size = (float(size[0]), float(size[1]))

    def draw(self) -> None:
        """Draw number, sides, places and greys of the rectangles."""
        count = int(self.R.randint(1, self.holes + 1))
        self._sides = self.R.uniform(*self.size, (count, 2))
        self._corners = self.R.uniform(0, 1, (count, 2)) * (1 - self._sides)
        self._greys = self.R.uniform(0, 1, count)

    def change(self, film: Pixels) -> Pixels:
        """Return the film with the rectangles covered."""
        covered = film.copy()
        shape = np.array(film.shape[1:])
        for corner, sides, grey in zip(self._corners, self._sides, self._greys, strict=True):
            top, left = np.rint(corner * shape).astype(int)
            bottom, right = np.rint((corner + sides) * shape).astype(int)
            covered[:, top:bottom, left:right] = grey
        return covered
