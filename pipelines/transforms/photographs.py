"""Photographs in colour: the chains of a config, and what another camera or hand would change.

A photograph keeps its ratio; the square in its middle counts, since what was photographed lies
there. It has no right way up, so it is turned by any angle.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from monai.config import KeysCollection
from monai.transforms import Compose, MapTransform

from pipelines.errors import ConfigurationError, Reason
from pipelines.radiograph import Pixels
from pipelines.transforms.augmentation import RandomFilmTransform
from pipelines.transforms.geometry import ResizeShortSided, ResizeSquared, load_resized
from pipelines.transforms.intensity import ImageNetNormalised
from pipelines.transforms.middle import CropMiddled

FILM_SIZE = 150
"""Shorter side of the copies of HAM10000 that are handed out small, in pixels."""

_CHANNELS = 3


def photograph_preprocessing(
    image_size: int, *, film_size: int = FILM_SIZE, reduced_reading: bool = False
) -> Compose:
    """Read a photograph, take the square in its middle and normalise as for ImageNet.

    Every photograph passes through the same intermediate size, so that it gives the same answer at
    its full size and as a copy as small as that.

    Args:
        image_size: Side of the network's square in pixels.
        film_size: Length of the photograph's shorter side on the way, in pixels.
        reduced_reading: Read large photographs at a lower resolution, see `read_radiograph`.

    Returns:
        A chain from `{"image": path, "frame": index, ...}` to `image` as a float32 tensor
        (3, image_size, image_size).
    """
    return Compose(
        [
            *_middle_square(film_size, reduced=reduced_reading),
            ResizeSquared(keys="image", size=image_size),
            ImageNetNormalised(keys="image"),
        ]
    )


def photograph_augmentation(  # noqa: PLR0913 - every magnitude is a key of a config
    image_size: int,
    *,
    film_size: int = FILM_SIZE,
    zoom: Sequence[float] = (0.87, 1.54),
    stretch: float = 0.25,
    degrees: float = 180.0,
    shift: float = 0.1,
    flip_prob: float = 0.5,
    colour: float = 1.0,
    cover_prob: float = 0.25,
) -> Compose:
    """Preprocess as `photograph_preprocessing`, changing position and colour on the way.

    Args:
        image_size: Side of the network's square in pixels.
        film_size: Side of the square in which photographs are kept, in pixels.
        zoom: Smallest and largest zoom; above 1 enlarges.
        stretch: Width against height changes by up to about this share.
        degrees: Largest turn to either side.
        shift: Largest shift as a share of the side.
        flip_prob: Probability of mirroring.
        colour: How much saturation, contrast, brightness and white balance change; 0 not at all,
            1 by up to 25 %, 20 %, 20 % and 7 %.
        cover_prob: Probability that a rectangle is covered with grey.

    Returns:
        A chain with the same input and output as `photograph_preprocessing`.
    """
    return Compose(
        [
            *_middle_square(film_size),
            RandViewd(
                keys="image",
                size=image_size,
                zoom=zoom,
                stretch=stretch,
                degrees=degrees,
                shift=shift,
                flip_prob=flip_prob,
            ),
            RandColourd(keys="image", strength=colour),
            RandCoverd(keys="image", prob=cover_prob),
            ImageNetNormalised(keys="image"),
        ]
    )


def _middle_square(film_size: int, *, reduced: bool = False) -> list[MapTransform]:
    resize = ResizeShortSided(keys="image", short_side=film_size)
    return [
        *load_resized(resize, channels=_CHANNELS, reduced=reduced),
        CropMiddled(keys="image", size=film_size),
    ]


class RandViewd(RandomFilmTransform):
    """Zoom, turn, shift and mirror a photograph; skin goes on outside of it, as in a mirror.

    Args:
        keys: Keys of photographs, 0 to 1, (3, height, width).
        size: Side of the square that comes out, in pixels.
        zoom: Smallest and largest zoom; 1 shows the shorter side whole.
        stretch: Width against height changes by up to about this share.
        degrees: Largest turn to either side.
        shift: Largest shift as a share of the side.
        flip_prob: Probability of mirroring.

    Raises:
        ConfigurationError: If `zoom` does not rise from above 0, or `size` is less than 1.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        size: int,
        zoom: Sequence[float] = (0.87, 1.54),
        stretch: float = 0.25,
        degrees: float = 180.0,
        shift: float = 0.1,
        flip_prob: float = 0.5,
    ) -> None:
        super().__init__(keys)
        low, high = (float(value) for value in zoom)
        if not 0 < low <= high or size < 1:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a zoom from above 0 that rises and a size of at least 1, "
                f"got {low} to {high} and {size}",
            )
        self.size = size
        self.zoom = (low, high)
        self.stretch = stretch
        self.degrees = degrees
        self.shift = shift
        self.flip_prob = flip_prob

    def draw(self) -> None:
        """Draw the affine map."""
        uniform = self.R.uniform
        # As a share of the film that is shown, so that close and far views are equally frequent.
        zoom = 1 / uniform(1 / self.zoom[1], 1 / self.zoom[0])
        stretch = np.exp(uniform(-1, 1) * self.stretch / 2)
        angle = np.deg2rad(uniform(-1, 1) * self.degrees)
        mirrored = -1.0 if uniform() < self.flip_prob else 1.0
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._map = turn @ np.diag([zoom * stretch * mirrored, zoom / stretch])
        self._shift = uniform(-1, 1, 2) * self.shift

    def change(self, film: Pixels) -> Pixels:
        """Return the view."""
        height, width = film.shape[1:]
        side = min(height, width)
        matrix = self._map * (self.size / side)
        seen = np.array([(width - 1) / 2, (height - 1) / 2]) + self._shift * side
        offset = (self.size - 1) / 2 - matrix @ seen
        view = cv2.warpAffine(
            film.transpose(1, 2, 0),
            np.column_stack([matrix, offset]),
            (self.size, self.size),
            borderMode=cv2.BORDER_REFLECT_101,
        )
        planes: Pixels = view.reshape(self.size, self.size, -1).transpose(2, 0, 1)
        return planes


class RandColourd(RandomFilmTransform):
    """Change saturation, contrast, brightness and white balance.

    Args:
        keys: Keys of photographs, 0 to 1, (3, height, width).
        strength: 0 changes nothing; at 1 saturation changes by up to 25 %, contrast and brightness
            by up to 20 %, and each colour by up to 7 %.
        prob: Probability of any change.
    """

    def __init__(self, keys: KeysCollection, *, strength: float = 1.0, prob: float = 1.0) -> None:
        super().__init__(keys, prob=prob)
        self.strength = strength

    def draw(self) -> None:
        """Draw every factor."""
        factors = 1 + self.R.uniform(-1, 1, 6) * self.strength * [0.25, 0.2, 0.2, 0.07, 0.07, 0.07]
        self._saturation, self._contrast, self._brightness = factors[:3].astype(np.float32)
        self._balance = factors[3:, None, None].astype(np.float32)

    def change(self, film: Pixels) -> Pixels:
        """Return the photograph in other colours."""
        grey = film.mean(axis=0, keepdims=True)
        saturated = grey + (film - grey) * self._saturation
        mean = saturated.mean()
        exposed = (saturated - mean) * self._contrast + mean * self._brightness
        coloured: Pixels = (exposed * self._balance).clip(0, 1)
        return coloured


class RandCoverd(RandomFilmTransform):
    """Cover a rectangle with grey, so that no single detail decides.

    Args:
        keys: Keys of photographs, 0 to 1, (channel, height, width).
        sides: Smallest and largest side as a share of the photograph's.
        prob: Probability of a rectangle.

    References:
        Zhong et al., Random erasing data augmentation, AAAI 2020.
    """

    def __init__(
        self, keys: KeysCollection, *, sides: Sequence[float] = (0.1, 0.35), prob: float = 0.25
    ) -> None:
        super().__init__(keys, prob=prob)
        self.sides = (float(sides[0]), float(sides[1]))

    def draw(self) -> None:
        """Draw the rectangle's sides and where it lies, each as a share."""
        self._sides = self.R.uniform(*self.sides, 2)
        self._place = self.R.uniform(0, 1, 2)

    def change(self, film: Pixels) -> Pixels:
        """Return the photograph with a rectangle covered."""
        shape: Any = film.shape[1:]
        high, wide = np.rint(self._sides * shape).astype(int)
        top, left = ((shape - np.array([high, wide])) * self._place).astype(int)
        covered = film.copy()
        covered[:, top : top + high, left : left + wide] = film.mean(axis=(1, 2), keepdims=True)
        return covered
