"""Random changes by the names that published recipes use: resized crop, jitter, blur, grey.

They work on `image`, float32, 0 to 1, (channel, height, width), before it is normalised.
`augmentation` models how films differ between rooms; these let a published recipe be compared.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from monai.config import KeysCollection

from pipelines.radiograph import Pixels
from pipelines.transforms.augmentation import RandomFilmTransform
from pipelines.transforms.reading import with_channels

_REFERENCE_SIDE = 224


class RandResizedCropd(RandomFilmTransform):
    """Cut a rectangle out of a film and enlarge it to the film's own size.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        scale: Smallest and largest share of the film's area that is kept, 0 to 1.
        ratio: Smallest and largest width against height of the rectangle, relative to the film's.
        prob: Probability of any change.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        scale: Sequence[float] = (0.8, 1.0),
        ratio: Sequence[float] = (0.75, 1.33),
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))

    def draw(self) -> None:
        """Draw the rectangle's sides and where it lies, each as a share."""
        area = self.R.uniform(*self.scale)
        stretch = np.exp(self.R.uniform(*np.log(self.ratio)) / 2)
        # A rectangle that is longer than the film would show what was never exposed.
        self._width = min(1.0, np.sqrt(area) * stretch)
        self._height = min(1.0, np.sqrt(area) / stretch)
        self._left, self._top = self.R.uniform(0, 1, 2) * (1 - self._width, 1 - self._height)

    def change(self, film: Pixels) -> Pixels:
        """Return the rectangle at the film's size."""
        height, width = film.shape[1:]
        scale = np.diag([self._width, self._height])
        # Pixel centres are half a pixel in.
        shift = (self._left * width, self._top * height) + np.diag(scale) / 2 - 0.5
        matrix = np.column_stack([scale, shift])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.stack(
            [
                cv2.warpAffine(
                    plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
                )
                for plane in film
            ]
        )


class RandJitterd(RandomFilmTransform):
    """Change brightness by a factor, then contrast about the film's mean by another.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        brightness: Factors are 1 - brightness to 1 + brightness.
        contrast: Factors are 1 - contrast to 1 + contrast.
        prob: Probability of any change.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        brightness: float = 0.2,
        contrast: float = 0.2,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.brightness = brightness
        self.contrast = contrast

    def draw(self) -> None:
        """Draw both factors."""
        self._gain = 1 + self.R.uniform(-1, 1) * self.brightness
        self._slope = 1 + self.R.uniform(-1, 1) * self.contrast

    def change(self, film: Pixels) -> Pixels:
        """Return the film, brighter or darker, with more contrast or less."""
        bright = (film * np.float32(self._gain)).clip(0, 1)
        mean = bright.mean()
        jittered: Pixels = ((bright - mean) * np.float32(self._slope) + mean).clip(0, 1)
        return jittered


class RandBlurd(RandomFilmTransform):
    """Blur a film by a Gaussian.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        sigma: Smallest and largest width of the Gaussian in pixels of a film 224 pixels high; it
            grows with the film.
        prob: Probability of blur.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        sigma: Sequence[float] = (0.1, 2.0),
        prob: float = 0.2,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.sigma = (float(sigma[0]), float(sigma[1]))

    def draw(self) -> None:
        """Draw the width."""
        self._sigma = self.R.uniform(*self.sigma)

    def change(self, film: Pixels) -> Pixels:
        """Return the blurred film."""
        sigma = self._sigma * film.shape[1] / _REFERENCE_SIDE
        return np.stack([self._plane(plane, sigma) for plane in film])

    def _plane(self, plane: Any, sigma: float) -> Any:
        return cv2.GaussianBlur(plane, (0, 0), sigma) if sigma > 0 else plane


class RandGreyd(RandomFilmTransform):
    """Take the colour out of a film now and then; a film of one channel stays as it is.

    Args:
        keys: Keys of films, 0 to 1, (1 or 3, height, width).
        prob: Probability of grey.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self, keys: KeysCollection, *, prob: float = 0.1, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)

    def draw(self) -> None:
        """Draw nothing: there is one grey."""

    def change(self, film: Pixels) -> Pixels:
        """Return the film's luma in each of its channels."""
        return with_channels(with_channels(film, 1), film.shape[0])
