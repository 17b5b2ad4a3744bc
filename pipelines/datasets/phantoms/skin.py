"""Generated photographs of skin lesions of seven kinds.

Each kind has what a first look tells: a mole is round and evenly brown, a melanoma ragged and of
several colours, a vascular lesion red, and so on. Skin tone, light, hairs, vignetting, distance and
position vary from photograph to photograph, and size, outline and colour from lesion to lesion. It
is made to try a pipeline out, not to train a model that anyone should use.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.float32]
"""float32, (height, width), rows first."""
Photograph: TypeAlias = npt.NDArray[np.float32]
"""float32, 0 to 1, (height, width, 3): red, green, blue."""

PHOTOGRAPH_SHAPE = (300, 400)
"""Rows and columns of a generated photograph."""

_HARMONICS = 8


@dataclass(frozen=True, slots=True)
class LesionKind:
    """How lesions of one kind look.

    Attributes:
        colour: Red, green and blue of its body, as factors on the skin's.
        second: The same of its other parts.
        patches: Share of it that has the second colour, 0 to 1.
        grain: Width of a patch against the lesion's radius.
        ragged: How far the outline strays from an ellipse, against the radius.
        softness: Width of its edge against the radius.
        radius: Smallest and largest radius against the photograph's height.
        dots: Number of bright points on it, such as the milia of a keratosis.
        centre: Brightening of its middle; 0 for none.
    """

    colour: tuple[float, float, float]
    second: tuple[float, float, float]
    patches: float
    grain: float
    ragged: float
    softness: float
    radius: tuple[float, float]
    dots: int = 0
    centre: float = 0.0


KINDS = {
    "akiec": LesionKind((0.95, 0.66, 0.64), (1.06, 0.88, 0.82), 0.4, 0.12, 0.12, 0.35, (0.2, 0.3)),
    "bcc": LesionKind(
        (0.98, 0.75, 0.76), (0.74, 0.62, 0.7), 0.3, 0.35, 0.10, 0.2, (0.15, 0.26), centre=0.12
    ),
    "bkl": LesionKind(
        (0.80, 0.68, 0.56), (0.62, 0.50, 0.42), 0.5, 0.18, 0.10, 0.06, (0.18, 0.32), dots=25
    ),
    "df": LesionKind(
        (0.84, 0.70, 0.64), (0.78, 0.64, 0.58), 0.3, 0.5, 0.05, 0.4, (0.12, 0.2), centre=0.35
    ),
    "mel": LesionKind((0.42, 0.32, 0.30), (0.30, 0.34, 0.42), 0.5, 0.4, 0.13, 0.12, (0.2, 0.34)),
    "nv": LesionKind((0.62, 0.46, 0.38), (0.54, 0.39, 0.32), 0.3, 0.4, 0.05, 0.15, (0.12, 0.25)),
    "vasc": LesionKind((0.80, 0.30, 0.36), (0.60, 0.20, 0.34), 0.4, 0.3, 0.08, 0.1, (0.1, 0.22)),
}
"""The seven diagnoses of HAM10000 by the names of its column `dx`."""


@dataclass(frozen=True, slots=True)
class _View:
    """From where a lesion was photographed: shifts and size against the photograph's height."""

    x: float
    y: float
    size: float
    turn: float


def lesion_photograph(
    lesion: np.random.Generator,
    *,
    kind: LesionKind,
    view: np.random.Generator,
    shape: tuple[int, int] = PHOTOGRAPH_SHAPE,
) -> tuple[Photograph, npt.NDArray[np.bool_]]:
    """Draw one photograph of a lesion.

    Args:
        lesion: Source of what belongs to the lesion; the same seed gives the same lesion.
        kind: What kind of lesion it is.
        view: Source of what belongs to the photograph: light, hairs, distance and position.
        shape: Rows and columns.

    Returns:
        The photograph, and where the lesion is, (height, width).
    """
    x, y = _seen_from(_draw_view(view), shape)
    radius = lesion.uniform(*kind.radius)
    distance = _outline(x, y, kind=kind, radius=radius, random=lesion)
    inside = 1 / (1 + np.exp(np.clip(distance / (kind.softness * 0.25), -30, 30)))
    factors = _colours(x, y, kind=kind, radius=radius, random=lesion)
    tone = np.array([0.88, 0.70, 0.62]) * lesion.uniform(0.85, 1.1) + lesion.normal(0, 0.012, 3)
    texture = 1 + 0.025 * _noise(shape, 2.5, random=view) + 0.02 * _noise(shape, 12, random=view)
    skin = tone * texture[..., None]
    shown = skin * (1 - inside[..., None]) + skin * factors * inside[..., None]
    shown = _with_hairs(shown, random=view)
    return _expose(shown, random=view), distance < 0


def _draw_view(random: np.random.Generator) -> _View:
    x, y = random.uniform(-0.08, 0.08, 2)
    return _View(
        x=float(x),
        y=float(y),
        size=float(random.uniform(0.85, 1.2)),
        turn=float(random.uniform(0, 2 * np.pi)),
    )


def _seen_from(view: _View, shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Coordinates of every pixel about the lesion's middle, in heights of the photograph."""
    rows, columns = shape
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    x, y = (x - columns / 2) / rows - view.x, (y - rows / 2) / rows - view.y
    cosine, sine = np.cos(view.turn) / view.size, np.sin(view.turn) / view.size
    return (cosine * x + sine * y).astype(np.float32), (cosine * y - sine * x).astype(np.float32)


def _outline(
    x: Plane, y: Plane, *, kind: LesionKind, radius: float, random: np.random.Generator
) -> Plane:
    """Distance from the outline against the radius: negative inside."""
    ratio = random.uniform(0.7, 1.0)
    angle = np.arctan2(y / ratio, x)
    waves = np.zeros_like(x)
    for harmonic in range(2, 2 + _HARMONICS):
        amplitude = kind.ragged * random.normal() / np.sqrt(harmonic)
        waves += amplitude * np.cos(harmonic * angle + random.uniform(0, 2 * np.pi))
    from_middle = np.hypot(x, y / ratio) / radius
    return np.asarray(from_middle - 1 - waves.clip(-0.6, 0.6), dtype=np.float32)


def _colours(
    x: Plane, y: Plane, *, kind: LesionKind, radius: float, random: np.random.Generator
) -> Photograph:
    """Factors on the skin's colour; patterns turn and grow with the lesion."""
    pattern = _pattern(x, y, width=kind.grain * radius, random=random)
    share = 1 / (1 + np.exp(-4 * (pattern - np.quantile(pattern, 1 - kind.patches))))
    first = np.array(kind.colour) * random.normal(1, 0.05)
    second = np.array(kind.second) * random.normal(1, 0.05)
    factors = first + (second - first) * share[..., None]
    middle = np.exp(-(x**2 + y**2) / (0.4 * radius) ** 2)
    factors += kind.centre * middle[..., None]
    for _ in range(kind.dots):
        across, down = random.normal(0, 0.45 * radius, 2)
        dot = np.exp(-((x - across) ** 2 + (y - down) ** 2) / (0.06 * radius) ** 2)
        factors += 0.35 * dot[..., None]
    return np.asarray(factors, dtype=np.float32)


def _pattern(x: Plane, y: Plane, *, width: float, random: np.random.Generator) -> Plane:
    """Smooth noise in the lesion's own coordinates, of unit deviation."""
    total = np.zeros_like(x)
    for _ in range(12):
        direction = random.uniform(0, 2 * np.pi)
        wave = random.uniform(0.6, 1.4) / width
        along = np.cos(direction) * x + np.sin(direction) * y
        total += np.cos(wave * along * 2 + random.uniform(0, 2 * np.pi))
    return np.asarray(total / np.sqrt(6), dtype=np.float32)


def _noise(shape: tuple[int, int], sigma: float, *, random: np.random.Generator) -> Plane:
    """Noise of unit deviation whose grain is `sigma` pixels wide."""
    noise = cv2.GaussianBlur(random.standard_normal(shape, dtype=np.float32), (0, 0), sigma)
    return np.asarray(noise / (noise.std() + 1e-6), dtype=np.float32)


def _with_hairs(shown: Photograph, *, random: np.random.Generator) -> Photograph:
    """Lay a few dark hairs over two photographs in five."""
    rows, columns = shown.shape[:2]
    hairs = np.zeros((rows, columns), np.float32)
    number = int(random.integers(3, 12)) * int(random.random() < 0.4)  # noqa: PLR2004 - some
    for _ in range(number):
        start, bend = random.uniform(0, 1, 2) * (columns, rows), random.normal(0, 0.15)
        angle, length = random.uniform(0, 2 * np.pi), random.uniform(0.3, 0.9) * rows
        along = np.linspace(0, 1, 20)
        course = angle + bend * along * 6
        points = start + np.cumsum(np.column_stack([np.cos(course), np.sin(course)]), axis=0) * (
            length / len(along)
        )
        cv2.polylines(hairs, [np.rint(points).astype(np.int32)], False, 1.0, 2, cv2.LINE_AA)
    return np.asarray(shown * (1 - 0.75 * hairs[..., None]), dtype=np.float32)


def _expose(shown: Photograph, *, random: np.random.Generator) -> Photograph:
    """Light from one side, vignetting, white balance and noise."""
    rows, columns = shown.shape[:2]
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    slope = random.normal(0, 0.04, 2)
    light = 1 + slope[0] * x + slope[1] * y - random.uniform(0, 0.18) * (x**2 + y**2)
    balance = random.normal(1, 0.03, 3) * random.uniform(0.9, 1.08)
    exposed = shown * light[..., None] * balance + random.normal(0, 0.008, shown.shape)
    return np.asarray(exposed.clip(0, 1), dtype=np.float32)
