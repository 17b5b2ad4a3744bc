"""From attenuation to a film: exposure, scatter, noise, markers, collimation, film borders.

A film is drawn upright inside a square, black beyond the film, as a reader of square pictures
would pad it.
"""

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.datasets.phantoms.chance import happens
from pipelines.datasets.phantoms.hand_bone import Hand
from pipelines.datasets.phantoms.hand_markers import draw_ring, lay_marker
from pipelines.datasets.phantoms.hand_outline import Points
from pipelines.datasets.phantoms.hand_placing import Film, film_window
from pipelines.datasets.phantoms.hand_rendering import Placement, Plane

_BORDER_SHARE = 0.45


def expose(
    attenuation: Plane,
    hand: Hand,
    placement: Placement,
    *,
    film: Film,
    random: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Turn attenuation into the picture of a film.

    Args:
        attenuation: Relative attenuation, (side, side).
        hand: The hand, so that markers can keep clear of its bones.
        placement: Where the hand lies, in pixels.
        film: Where the film lies, in shares of the side.
        random: Source of everything that varies.

    Returns:
        uint8, (side, side); bone is bright.
    """
    side = attenuation.shape[0]
    unit = placement.scale
    picture = cv2.GaussianBlur(attenuation, (0, 0), max(0.3, random.uniform(0.2, 0.9) * unit))
    if happens(random, 0.03):
        picture += draw_ring(hand, placement, side, random)
    picture += random.uniform(0.02, 0.12) * _wide_blur(picture, 60 * unit)
    picture = _develop(picture, random)
    picture *= _gradient(side, random, random.uniform(0, 0.2))
    picture = _sharpen(picture, unit, random)
    floor = random.uniform(0, 0.08) if happens(random, 0.7) else random.uniform(0.08, 0.4)
    picture = floor * _gradient(side, random, random.uniform(0, 0.4)) + (1 - 0.7 * floor) * picture
    for _ in range(int(random.choice((0, 1, 2), p=(0.2, 0.65, 0.15)))):
        lay_marker(picture, hand, placement, film=film, random=random)
    picture = _noise(picture, unit, random)
    room = _room(hand, placement, film=film, side=side)
    picture = _borders(picture, film, room=room, random=random)
    grey = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if happens(random, 0.3):
        quality = int(random.integers(45, 96))
        coded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        grey = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
    return _beyond_film(grey, film)


def _wide_blur(picture: Plane, sigma: float) -> Plane:
    side = picture.shape[0]
    small = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.5, sigma * 128 / side))
    large = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, dtype=np.float32)


def _develop(picture: Plane, random: np.random.Generator) -> Plane:
    """The film's curve: bone may be pale or burnt out, soft tissue dark or bright."""
    top = float(np.percentile(picture[::4, ::4], 99.3)) + 1e-3
    white = random.uniform(0.3, 1.05)
    curve = np.clip(picture / top, 0, None) ** random.uniform(0.75, 1.6)
    shoulder = max(random.uniform(-0.4, 1.0), 0.0)
    if shoulder > 0:
        curve = np.expm1(-shoulder * curve) / np.expm1(-shoulder)
    return np.asarray(white * curve, dtype=np.float32)


def _gradient(side: int, random: np.random.Generator, strength: float) -> Plane:
    """A smooth field around 1: heel effect and vignetting."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    slope = random.normal(0, 1, 2)
    bowl = random.uniform(-1, 0.6)
    field = slope[0] * axis[:, None] + slope[1] * axis[None, :]
    field = field + bowl * (axis[:, None] ** 2 + axis[None, :] ** 2)
    return np.asarray(np.clip(1 + strength * field, 0.2, 2), dtype=np.float32)


def _sharpen(picture: Plane, unit: float, random: np.random.Generator) -> Plane:
    """Edge enhancement and local equalisation of computed radiography."""
    if happens(random, 0.45):
        amount, sigma = random.uniform(0.2, 1.2), random.uniform(2, 14) * unit
        blurred = cv2.GaussianBlur(picture, (0, 0), sigma)
        picture = np.asarray(np.clip(picture + amount * (picture - blurred), 0, None))
    if happens(random, 0.12):
        grid = int(random.integers(2, 9))
        equaliser = cv2.createCLAHE(random.uniform(1, 4), (grid, grid))
        equal = equaliser.apply((np.clip(picture, 0, 1) * 255).astype(np.uint8))
        picture = equal.astype(np.float32) / 255
    return picture


def _noise(picture: Plane, unit: float, random: np.random.Generator) -> Plane:
    """Quantum noise, stronger where little light arrives, with a grain of its own."""
    low, high = (0.001, 0.012) if happens(random, 0.85) else (0.012, 0.035)
    level = random.uniform(low, high)
    noise = random.standard_normal(picture.shape, dtype=np.float32)
    grain = max(random.uniform(0.0, 1.1) * unit, 0.2)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), grain), dtype=np.float32)
    noise /= noise.std() + np.float32(1e-6)
    if happens(random, 0.05):
        noise += random.normal(0, 1, (1, picture.shape[1])).astype(np.float32)
    return np.asarray(picture + level * noise * (0.5 + picture), dtype=np.float32)


def _room(hand: Hand, placement: Placement, *, film: Film, side: int) -> Points:
    """Pixels between fingers or wrist and the left, upper, right and lower edge of the film."""
    bones = [bone.outline for bone in hand.bones if bone.name not in {"Radius", "Ulna"}]
    corners = placement.to_pixels(np.vstack(bones))
    low = np.array([film.left, film.top]) * side
    high = low + np.array([film.width, film.height]) * side
    return np.concatenate([corners.min(axis=0) - low, high - corners.max(axis=0)])


def _borders(picture: Plane, film: Film, *, room: Points, random: np.random.Generator) -> Plane:
    """Edges of the film: bright where light got in, dark or grey where a shutter closed."""
    if happens(random, 0.35):
        return picture
    side = picture.shape[0]
    left, top = film.left * side, film.top * side
    right, bottom = left + film.width * side, top + film.height * side
    insets = side * np.where(random.random(4) < _BORDER_SHARE, random.exponential(0.012, 4), -0.02)
    insets = np.minimum(insets, np.minimum(0.035 * side, room - 0.01 * side))
    tilt = np.radians(random.normal(0, 0.4))
    corners = np.array(
        [
            [left + insets[0], top + insets[1]],
            [right - insets[2], top + insets[1]],
            [right - insets[2], bottom - insets[3]],
            [left + insets[0], bottom - insets[3]],
        ]
    )
    center = corners.mean(axis=0)
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    corners = (corners - center) @ rotation.T + center
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1.0)
    soft = random.choice((0.001, 0.004, 0.012))
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, side * soft))
    shade = random.choice((0.0, 1.0, random.uniform(0.05, 0.9)), p=(0.3, 0.45, 0.25))
    return np.asarray(picture * mask + shade * (1 - mask), dtype=np.float32)


def _beyond_film(grey: npt.NDArray[np.uint8], film: Film) -> npt.NDArray[np.uint8]:
    side = grey.shape[0]
    rows, columns = film_window(film, side)
    padded = np.zeros_like(grey)
    padded[rows, columns] = grey[rows, columns]
    return padded
