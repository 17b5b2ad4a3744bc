"""From attenuation to a film: exposure, scatter, noise, markers, collimation, film borders.

A film is drawn upright inside a square, black beyond the film, as a reader of square pictures
would pad it.
"""

import string
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipelines.datasets.phantoms.chance import happens
from pipelines.datasets.phantoms.hand_bone import Hand
from pipelines.datasets.phantoms.hand_rendering import Placement, Plane

_BORDER_SHARE = 0.45
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN)


@dataclass(frozen=True, slots=True)
class Film:
    """The film's place within the square, in shares of its side.

    Attributes:
        left: Left edge.
        top: Upper edge.
        width: Width.
        height: Height.
    """

    left: float
    top: float
    width: float
    height: float


def draw_film(random: np.random.Generator) -> Film:
    """Draw a format: mostly portrait, a quarter square, seldom landscape."""
    ratio = float(np.clip(random.normal(0.77, 0.09), 0.5, 1.15))
    if happens(random, 0.25):
        ratio = 1.0
    width, height = min(1.0, ratio), min(1.0, 1 / ratio)
    return Film((1 - width) / 2, (1 - height) / 2, width, height)


def place_hand(
    hand: Hand, film: Film, *, mirrored: bool, turn: float, random: np.random.Generator
) -> Placement:
    """Find a place where every finger and the wrist are on the film.

    Args:
        hand: The hand, in hand units.
        film: Where the film lies in a square of side 1.
        mirrored: Whether it is a right hand.
        turn: Turn on the film, in degrees.
        random: Source of the size and the place.

    Returns:
        The place in a square of side 1.
    """
    trial = Placement(1.0, float(np.radians(turn)), mirrored, (0.0, 0.0))
    arm = float(random.uniform(15, 330) if happens(random, 0.9) else random.uniform(330, 600))
    points = [bone.outline for bone in hand.bones if bone.name not in {"Radius", "Ulna"}]
    points += [np.array([[55.0, -95.0 - arm], [-90.0, -95.0 - arm]])]
    corners = trial.to_pixels(np.vstack(points))
    low, high = corners.min(axis=0) - 20, corners.max(axis=0) + 20
    # No margin at the forearm, which runs off the film.
    if np.cos(trial.turn) > 0:
        high[1] -= 20
    else:
        low[1] += 20
    size = high - low
    available = np.array([film.width, film.height])
    room = 1 - abs(random.normal(0, 0.12))
    scale = float((available * float(np.clip(room, 0.6, 1.0)) / size).min())
    slack = available - size * scale
    share = np.array([random.beta(2, 2), random.uniform(0.5, 1.0)])
    shift = np.array([film.left, film.top]) + slack * share - low * scale
    return Placement(scale, trial.turn, mirrored, (float(shift[0]), float(shift[1])))


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
        picture += _ring(hand, placement, side, random)
    picture += random.uniform(0.02, 0.12) * _wide_blur(picture, 60 * unit)
    picture = _develop(picture, random)
    picture *= _gradient(side, random, random.uniform(0, 0.2))
    picture = _sharpen(picture, unit, random)
    floor = random.uniform(0, 0.08) if happens(random, 0.7) else random.uniform(0.08, 0.4)
    picture = floor * _gradient(side, random, random.uniform(0, 0.4)) + (1 - 0.7 * floor) * picture
    for _ in range(int(random.choice((0, 1, 2), p=(0.2, 0.65, 0.15)))):
        _marker(picture, hand, placement, film=film, random=random)
    picture = _noise(picture, unit, random)
    picture = _borders(picture, film, random)
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


def _ring(hand: Hand, placement: Placement, side: int, random: np.random.Generator) -> Plane:
    """A finger ring, nearly opaque."""
    canvas = np.zeros((side, side), np.float32)
    finger = f"finger-{random.choice((6, 10, 14, 14, 18))}"
    bone = next(bone for bone in hand.bones if bone.name == finger)
    base, head = placement.to_pixels(bone.axis)  # type: ignore[arg-type]
    along = (head - base) / np.linalg.norm(head - base)
    middle = base + random.uniform(0.2, 0.6) * (head - base)
    half = random.uniform(26, 34) * placement.scale * np.array([-along[1], along[0]])
    ends = np.round([middle - half, middle + half]).astype(np.int32)
    thickness = max(2, round(random.uniform(5, 12) * placement.scale))
    cv2.polylines(canvas, [ends], False, 6.0, thickness)
    return canvas


def _marker(
    picture: Plane,
    hand: Hand,
    placement: Placement,
    *,
    film: Film,
    random: np.random.Generator,
) -> None:
    """Lay a lead letter with initials on the film, often on a plate, away from the bones."""
    side = picture.shape[0]
    patch, plate = _letters("R" if placement.mirrored else "L", random)
    size = max(24, round(side * random.uniform(0.07, 0.17)))
    angle = random.normal(0, 8) if happens(random, 0.75) else random.uniform(0, 360)
    turn = cv2.getRotationMatrix2D((128, 128), angle, size / 256)
    turn[:, 2] += size / 2 - 128
    patch = cv2.warpAffine(patch, turn, (size, size), flags=cv2.INTER_AREA)
    plate = cv2.warpAffine(plate, turn, (size, size), flags=cv2.INTER_AREA)
    bones = np.vstack([placement.to_pixels(bone.outline)[::6] for bone in hand.bones])
    low = np.array([film.left, film.top]) * side
    high = low + np.array([film.width, film.height]) * side - size
    for _ in range(12):
        corner = np.round(random.uniform(low - size * 0.15, high + size * 0.15)).astype(int)
        corner = np.clip(corner, 0, side - size)
        inside = ((bones > corner - 4) & (bones < corner + size + 4)).all(axis=1)
        if not inside.any():
            window = picture[corner[1] : corner[1] + size, corner[0] : corner[0] + size]
            window += random.uniform(0.0, 0.15) * plate
            bright = random.uniform(0.55, 1.1)
            window[:] = np.maximum(window, bright * patch)
            return


def _letters(letter: str, random: np.random.Generator) -> tuple[Plane, Plane]:
    """Letters and their plate, each (256, 256), 0 to 1."""
    patch, plate = np.zeros((256, 256), np.uint8), np.zeros((256, 256), np.float32)
    font = int(random.choice(_FONTS))
    zoom = 2.0 if font == cv2.FONT_HERSHEY_PLAIN else 1.0
    big = letter if happens(random, 0.9) else str(random.choice(["R", "L", "A", "2", ""]))
    cv2.putText(patch, big, (85, 120), font, 3.6 * zoom, 255, int(random.integers(8, 22)))
    count = int(random.integers(0, 4))
    initials = "".join(random.choice(list(string.ascii_uppercase), count))
    thickness = int(random.integers(5, 16))
    cv2.putText(patch, initials, (128 - 26 * count, 215), font, 2.4 * zoom, 255, thickness)
    kind = random.choice(("plate", "disc", "none"), p=(0.5, 0.15, 0.35))
    if kind == "plate":
        cv2.rectangle(plate, (55, 10), (205, 245), 1.0, -1)
        cv2.rectangle(plate, (55, 10), (205, 245), 1.6, 3)
    elif kind == "disc":
        cv2.circle(plate, (128, 128), 120, 1.0, -1)
        cv2.circle(plate, (128, 128), 118, 3.0, 5)
    if count == 0 and happens(random, 0.5):
        cv2.circle(patch, (128, 225), 26, 255, -1)
    return np.asarray(patch / 255, dtype=np.float32), plate


def _borders(picture: Plane, film: Film, random: np.random.Generator) -> Plane:
    """Edges of the film: bright where light got in, dark or grey where a shutter closed."""
    if happens(random, 0.35):
        return picture
    side = picture.shape[0]
    left, top = film.left * side, film.top * side
    right, bottom = left + film.width * side, top + film.height * side
    insets = side * np.where(random.random(4) < _BORDER_SHARE, random.exponential(0.012, 4), -0.02)
    insets = np.minimum(insets, 0.035 * side)
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


def film_window(film: Film, side: int) -> tuple[slice, slice]:
    """Rows and columns of a square of `side` pixels that the film covers."""
    left, top = round(film.left * side), round(film.top * side)
    return (
        slice(top, round((film.top + film.height) * side)),
        slice(left, round((film.left + film.width) * side)),
    )
