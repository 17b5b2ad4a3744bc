"""How another room, machine or archive would have shown the same film, in fixed strengths.

They serve judgement, not training: each shift is one plain change of known strength, the same at
every call. Lengths are in pixels of a film whose shorter side has 224, or in shares of that side,
so that a strength means the same at every size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names
from pipelines.radiograph import Pixels
from pipelines.transforms.geometry import resize_area

Choice: TypeAlias = bool | Sequence[str] | Mapping[str, Sequence[float]]
"""Which shifts: all or none, some by their names, or names with strengths of one's own."""

_REFERENCE_SIDE = 224
_SHARPENED_SIGMA = 1.5


@dataclass(frozen=True, slots=True)
class Setting:
    """One shift at one strength.

    Attributes:
        shift: A name of `SHIFTS`.
        strength: In the unit of the shift.
    """

    shift: str
    strength: float

    def __str__(self) -> str:
        """Name it for tables and pictures."""
        return f"{self.shift} {self.strength:g}"


def settings_of(choice: Choice) -> tuple[Setting, ...]:
    """Return the settings that a configuration chooses.

    Args:
        choice: True for all, false for none, names, or names with strengths.

    Returns:
        In the order of `SHIFTS`, or as named.

    Raises:
        ConfigurationError: If a name is unknown or a strength is out of its range.

    Examples:
        >>> list(map(str, settings_of(["jpeg"]))), settings_of(False)
        (['jpeg 50', 'jpeg 20'], ())
        >>> str(*settings_of({"gamma": [0.5]}))
        'gamma 0.5'
    """
    if isinstance(choice, bool):
        choice = list(SHIFTS) if choice else []
    names = [choice] if isinstance(choice, str) else list(choice)
    for name in names:
        if name not in SHIFTS:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"expected names of shifts, got {name!r}{right_names(str(name), SHIFTS)}",
            )
    strengths = choice if isinstance(choice, Mapping) else {}
    settings = [
        Setting(name, strength)
        for name in names
        for strength in strengths.get(name, SHIFTS[name].strengths)
    ]
    for setting in settings:
        _check(setting)
    return tuple(settings)


def shift_film(film: Pixels, setting: Setting, *, seed: int = 0) -> Pixels:
    """Show a film as it would look elsewhere.

    Args:
        film: 0 to 1, (1 or 3, height, width).
        setting: The shift and its strength.
        seed: Of the noise; equal seeds give equal films.

    Returns:
        float32, 0 to 1, contiguous; crops are smaller and borders larger than the film.
    """
    generator = np.random.default_rng(seed)
    shifted = SHIFTS[setting.shift].change(film, setting.strength, generator)
    return np.ascontiguousarray(shifted.clip(0, 1), dtype=np.float32)


def _check(setting: Setting) -> None:
    low, high = SHIFTS[setting.shift].limits
    given = setting.strength
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not low <= given <= high:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected strengths of {low:g} to {high:g} for the shift {setting.shift}, "
            f"got {given!r}",
        )


def _unit(film: Pixels) -> float:
    """One reference pixel in pixels of the film."""
    return float(min(film.shape[1:])) / _REFERENCE_SIDE


def _gamma(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    return np.power(film, np.float32(strength))


def _exposure(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    return film * np.float32(strength)


def _contrast(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    mean = film.mean()
    return (film - mean) * np.float32(strength) + mean


def _window(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    low, high = np.percentile(film, [100 * strength, 100 - 100 * strength]).astype(np.float32)
    return (film - low) / max(high - low, np.float32(1e-3))


def _vignette(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) for side in film.shape[1:])
    squared = (rows[:, None] ** 2 + columns[None] ** 2) / 2
    return film * (1 - np.float32(strength) * squared)


def _uneven(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    return film * (1 + np.linspace(-strength, strength, film.shape[2], dtype=np.float32))


def _blur(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    return np.stack([cv2.GaussianBlur(plane, (0, 0), strength * _unit(film)) for plane in film])


def _sharpen(film: Pixels, strength: float, generator: np.random.Generator) -> Any:
    detail = film - _blur(film, _SHARPENED_SIGMA, generator)
    return film + np.float32(strength) * detail


def _noise(film: Pixels, strength: float, generator: np.random.Generator) -> Any:
    channels, height, width = film.shape
    # Grains of a large film are as large as reference pixels; finer ones would average out.
    coarse = max(1.0, _unit(film))
    grid = (channels, round(height / coarse), round(width / coarse))
    grains = generator.normal(0, strength, grid).astype(np.float32)
    size = (width, height)
    return film + np.stack(
        [cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST) for plane in grains]
    )


def _jpeg(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    levels = np.rint(film * 255).astype(np.uint8).transpose(1, 2, 0)
    # OpenCV keeps blue first; the colours trade places twice.
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(strength)]
    written = cv2.imencode(".jpg", levels[..., ::-1], quality)[1]
    planes = (
        np.asarray(cv2.imdecode(written, cv2.IMREAD_UNCHANGED))
        .reshape(levels.shape)[..., ::-1]
        .transpose(2, 0, 1)
    )
    return planes.astype(np.float32) / 255


def _resample(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    height, width = film.shape[1:]
    smaller = resize_area(
        film, height=max(1, round(height * strength)), width=max(1, round(width * strength))
    )
    return resize_area(smaller, height=height, width=width)


def _crop(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    rows, columns = (round(side * strength) for side in film.shape[1:])
    return film[:, rows : film.shape[1] - rows, columns : film.shape[2] - columns]


def _border(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    rows, columns = (round(side * strength) for side in film.shape[1:])
    return np.pad(film, ((0, 0), (rows, rows), (columns, columns)))


def _rotate(film: Pixels, strength: float, _: np.random.Generator) -> Any:
    height, width = film.shape[1:]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), strength, 1.0)
    # What comes in from outside shall not be an edge: the border is a shift of its own.
    mode = cv2.BORDER_REFLECT_101
    return np.stack([cv2.warpAffine(p, turn, (width, height), borderMode=mode) for p in film])


@dataclass(frozen=True, slots=True)
class Shift:
    """A kind of change.

    Attributes:
        change: From film, strength and random numbers to a film.
        strengths: Those that are measured unless others are named.
        limits: Lowest and highest strength.
        meaning: What a strength is, for people.
    """

    change: Callable[[Pixels, float, np.random.Generator], Any]
    strengths: tuple[float, ...]
    limits: tuple[float, float]
    meaning: str


SHIFTS: Mapping[str, Shift] = {
    "gamma": Shift(_gamma, (0.7, 1.5), (0.1, 10), "exponent of the grey values"),
    "exposure": Shift(_exposure, (0.7, 1.3), (0.05, 20), "factor, cut off at white"),
    "contrast": Shift(_contrast, (0.6, 1.4), (0.05, 20), "factor about the mean, cut off"),
    "window": Shift(_window, (0.05, 0.1), (0, 0.45), "share cut off at either end of the greys"),
    "vignette": Shift(_vignette, (0.5,), (0, 1), "darkening of the corners"),
    "uneven": Shift(_uneven, (0.3,), (-1, 1), "darker at the left by this share, brighter right"),
    "blur": Shift(_blur, (1, 2), (0.1, 20), "sigma in pixels"),
    "sharpen": Shift(_sharpen, (1,), (0, 10), "amount of the unsharp mask, sigma 1.5 pixels"),
    "noise": Shift(_noise, (0.02, 0.05), (0, 1), "standard deviation, of 0 to 1"),
    "jpeg": Shift(_jpeg, (50, 20), (1, 100), "quality"),
    "resample": Shift(_resample, (0.5, 0.33), (0.02, 1), "share of the side in between"),
    "crop": Shift(_crop, (0.05, 0.1), (0, 0.4), "share cut off at each side"),
    "border": Shift(_border, (0.05, 0.1), (0, 2), "share of black put on at each side"),
    "rotate": Shift(_rotate, (-5, 5), (-180, 180), "degrees, counter-clockwise"),
}
"""Every shift by name."""
