"""Random changes that another room, detector or archive could have made to a film.

They work on `image`, float32, 0 to 1, (channel, height, width), before it is standardised, and need
no more than a few milliseconds on films of network size. OpenCV does the work.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from pipelines.radiograph import Pixels

_BANDS = 5


class RandomFilmTransform(RandomizableTransform, MapTransform):
    """Draw once an item, and change each key's film by what was drawn.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        prob: Probability of any change.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self, keys: KeysCollection, *, prob: float = 1.0, allow_missing_keys: bool = False
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Change each key's film, or none."""
        item = dict(data)
        self.randomize(None)
        if self._do_transform:
            self.draw()
            for key in self.key_iterator(item):
                film = np.asarray(item[key], dtype=np.float32)
                item[key] = torch.from_numpy(np.ascontiguousarray(self.change(film)))
        return item

    def draw(self) -> None:
        """Draw what the change will be."""
        raise NotImplementedError

    def change(self, film: Pixels) -> Pixels:
        """Return the changed film."""
        raise NotImplementedError


class RandPositiond(RandomFilmTransform):
    """Zoom, turn, shift and mirror a film; what comes in from outside is black.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        zoom: Smallest and largest zoom; above 1 enlarges.
        stretch: Width against height changes by up to this share; the zoom stays.
        degrees: Largest turn to either side.
        shift: Largest shift as a share of the side.
        flip_prob: Probability of mirroring left and right.
        prob: Probability of any change.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        zoom: Sequence[float] = (0.9, 1.1),
        stretch: float = 0.0,
        degrees: float = 10.0,
        shift: float = 0.05,
        flip_prob: float = 0.5,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.zoom = (float(zoom[0]), float(zoom[1]))
        self.stretch = stretch
        self.degrees = degrees
        self.shift = shift
        self.flip_prob = flip_prob

    def draw(self) -> None:
        """Draw the affine map."""
        uniform = self.R.uniform
        zoom = np.exp(uniform(*np.log(self.zoom)))
        stretch = np.exp(uniform(-1, 1) * self.stretch / 2)
        angle = np.deg2rad(uniform(-1, 1) * self.degrees)
        mirrored = -1.0 if uniform() < self.flip_prob else 1.0
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._map = turn @ np.diag([zoom * stretch * mirrored, zoom / stretch])
        self._shift = uniform(-1, 1, 2) * self.shift

    def change(self, film: Pixels) -> Pixels:
        """Return the film, moved."""
        height, width = film.shape[1:]
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        offset = centre + self._shift * (width, height) - self._map @ centre
        matrix = np.column_stack([self._map, offset])
        return np.stack([cv2.warpAffine(plane, matrix, (width, height)) for plane in film])


class RandToned(RandomFilmTransform):
    """Change exposure and the characteristic curve: gamma, contrast, brightness, a bend.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        strength: 0 changes nothing, 1 a lot (gamma 0.6 to 1.6, contrast 0.67 to 1.5).
        prob: Probability of any change.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        strength: float = 0.4,
        prob: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.strength = strength

    def draw(self) -> None:
        """Draw the curve, as values at 257 equally spaced greys."""
        uniform, strength = self.R.uniform, self.strength
        grey = np.linspace(0, 1, 257)
        if uniform() < 0.8:  # noqa: PLR2004 - most films
            grey = grey ** np.exp(uniform(-1, 1) * 0.5 * strength)
        if uniform() < 0.7:  # noqa: PLR2004 - most films
            gain = np.exp(uniform(-1, 1) * 0.4 * strength)
            grey = (grey - 0.5) * gain + 0.5 + uniform(-1, 1) * 0.12 * strength
        if uniform() < 0.4 * strength:
            grey = self._bent(grey)
        self._curve = grey.clip(0, 1)

    def _bent(self, grey: Any) -> Any:
        steepness, middle = self.R.uniform(2, 7), self.R.uniform(0.35, 0.65)
        bent = 1 / (1 + np.exp(-steepness * (grey - middle)))
        bent = (bent - bent.min()) / (bent.max() - bent.min())
        return bent if self.R.uniform() < 0.6 else 2 * grey - bent  # noqa: PLR2004 - more often S

    def change(self, film: Pixels) -> Pixels:
        """Return the film through the curve."""
        curve = self._curve.astype(np.float32)
        # As np.interp, whose search of each pixel's place takes ten times as long.
        place = film.clip(0, 1) * np.float32(len(curve) - 1)
        below = np.minimum(place.astype(np.intp), len(curve) - 2)
        toned: Pixels = curve[below] + (place - below.astype(np.float32)) * np.diff(curve)[below]
        return toned


class RandBandGaind(RandomFilmTransform):
    """Make fine, middle and coarse detail stronger or weaker, each by its own factor.

    Detectors and their software differ in just this (multi-scale contrast enhancement).

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        strength: Factors are e**-strength to e**strength.
        prob: Probability of any change.
        allow_missing_keys: Pass over keys that an item lacks.

    References:
        Burt and Adelson, The Laplacian pyramid as a compact image code, IEEE Trans. Commun. 31
        (1983).
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        strength: float = 0.6,
        prob: float = 0.8,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.strength = strength

    def draw(self) -> None:
        """Draw one gain a band, the finest first, and one for what is left."""
        # The finest band is weakened more often than it is strengthened.
        lowest = [-1.5, *[-1.0] * _BANDS]
        self._gains = [float(np.exp(self.R.uniform(low, 1) * self.strength)) for low in lowest]

    def change(self, film: Pixels) -> Pixels:
        """Return the film with its bands weighed anew."""
        return np.stack([self._plane(plane) for plane in film]).clip(0, 1)

    def _plane(self, plane: Any) -> Any:
        bands, coarse = [], plane
        for _ in range(_BANDS):
            coarser = cv2.pyrDown(coarse)
            bands.append(coarse - cv2.pyrUp(coarser, dstsize=coarse.shape[::-1]))
            coarse = coarser
        mean = coarse.mean()
        result = mean + (coarse - mean) * self._gains[-1]
        for band, gain in zip(reversed(bands), reversed(self._gains[:-1]), strict=True):
            result = cv2.pyrUp(result, dstsize=band.shape[::-1]) + band * gain
        return result


class RandTextured(RandomFilmTransform):
    """Blur, sharpen or resample a film, and now and then compress it as JPEG.

    Sharpness tells archives apart, not diseases.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        jpeg_prob: Probability of JPEG of quality 30 to 90, beside the other change.
        prob: Probability of any change.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        jpeg_prob: float = 0.4,
        prob: float = 0.6,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.jpeg_prob = jpeg_prob

    def draw(self) -> None:
        """Draw which change, and how much of it."""
        self._kind = self.R.choice(["blur", "sharpen", "resample"], p=[0.4, 0.35, 0.25])
        # Widths are given for films of 224 pixels and scaled with the film.
        self._sigma = self.R.uniform(0.4, 2.0)
        self._amount = self.R.uniform(0.3, 2.0)
        self._sides = self.R.uniform(0.32, 0.8, 2)
        self._quality = int(self.R.randint(30, 90)) if self.R.uniform() < self.jpeg_prob else None

    def change(self, film: Pixels) -> Pixels:
        """Return the film with another texture."""
        changed = np.stack([self._plane(plane) for plane in film])
        return changed.clip(0, 1)

    def _plane(self, plane: Any) -> Any:
        height, width = plane.shape
        sigma = max(self._sigma * height / 224, 0.2)
        if self._kind == "blur":
            plane = cv2.GaussianBlur(plane, (0, 0), sigma)
        elif self._kind == "sharpen":
            plane = plane + self._amount * (plane - cv2.GaussianBlur(plane, (0, 0), sigma))
        else:
            sides = [
                max(8, round(share * side))
                for share, side in zip(self._sides, (width, height), strict=True)
            ]
            small = cv2.resize(plane, sides, interpolation=cv2.INTER_AREA)
            plane = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        if self._quality is None:
            return plane
        levels = np.rint(plane.clip(0, 1) * 255).astype(np.uint8)
        code = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, self._quality])[1]
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), dtype=np.float32) / 255


class RandGraind(RandomFilmTransform):
    """Add quantum noise, fine or coarse.

    Args:
        keys: Keys of films, 0 to 1, (channel, height, width).
        largest: Largest standard deviation.
        prob: Probability of noise.
        allow_missing_keys: Pass over keys that an item lacks.
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        largest: float = 0.04,
        prob: float = 0.2,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, prob=prob, allow_missing_keys=allow_missing_keys)
        self.largest = largest

    def draw(self) -> None:
        """Draw how much noise, and of which size; the noise itself follows the film's shape."""
        self._deviation = self.R.uniform(0.1, 1.0) * self.largest
        self._coarse = self.R.uniform() < 0.3  # noqa: PLR2004 - now and then

    def change(self, film: Pixels) -> Pixels:
        """Return the film with noise."""
        height, width = film.shape[1:]
        shape = (height // 2, width // 2) if self._coarse else (height, width)
        noise = self.R.normal(0, self._deviation, shape).astype(np.float32)
        if self._coarse:
            noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
        grainy: Pixels = (film + noise).clip(0, 1)
        return grainy
