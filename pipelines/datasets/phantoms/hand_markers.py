"""What lies on a film beside the hand: lead letters, and rings that were not taken off."""

import string

import cv2
import numpy as np

from pipelines.datasets.phantoms.chance import happens
from pipelines.datasets.phantoms.hand_bone import Hand
from pipelines.datasets.phantoms.hand_placing import Film
from pipelines.datasets.phantoms.hand_rendering import Placement, Plane

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN)


def draw_ring(hand: Hand, placement: Placement, side: int, random: np.random.Generator) -> Plane:
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


def lay_marker(
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
