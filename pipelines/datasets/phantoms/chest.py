"""Generated frontal chest radiographs, with and without a consolidation.

The phantom has what a first look at a chest film shows: body outline, two lung fields with ribs
and vessels, spine, mediastinum and heart, clavicles, diaphragm domes, a side marker, noise and a
collimated border. Pose, size, exposure and contrast vary from film to film, and so do skeleton and
build: with the same anatomy in all of them the films would be copies of one but for the pose. It is
made to try a pipeline out, not to train a model that anyone should use.

Coordinates: x runs from -1 (left edge of the picture, the patient's right) to 1, y from 0 (top)
to 1 (bottom); densities are relative, 0 air and about 1 the heart.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.float32]
"""float32, (height, width), rows first."""

FILM_SHAPE = (512, 420)
"""Rows and columns of a generated film."""

_LUNG_TOP = 0.17
_LUNG_CENTER = 0.44
_RIB_PAIRS = 9


@dataclass(frozen=True, slots=True)
class Pose:
    """How one patient stands and how one film was exposed.

    Attributes:
        tilt: Rotation in radians.
        scale: Size of the patient, around 1.
        shift: Displacement in x and y.
        lung_width: Half width of a lung at its widest, in x.
        lung_base: Height of the left dome of the diaphragm, in y.
        heart_width: Half width of the heart shadow, in x.
        exposure: Factor on all densities, around 1.
        gamma: Exponent of the display curve, around 1.
        noise: Standard deviation of the noise, as a share of the full range.
    """

    tilt: float
    scale: float
    shift: tuple[float, float]
    lung_width: float
    lung_base: float
    heart_width: float
    exposure: float
    gamma: float
    noise: float


@dataclass(frozen=True, slots=True)
class Skeleton:
    """How the bones of one film lie.

    Attributes:
        ribs: Where each pair of ribs leaves the spine, in y; a row a side, right first.
        slope: How steeply ribs fall away from the spine, around 0.16.
        rib_width: Half the height of a rib, in y.
        vertebra: Height of a vertebra, in y.
        first_vertebra: Where the first one begins, as a share of its height.
        clavicles: Where each clavicle meets the breastbone, in y; right first.
        rise: How steeply clavicles rise outwards, around 0.1.
    """

    ribs: npt.NDArray[np.float64]
    slope: float
    rib_width: float
    vertebra: float
    first_vertebra: float
    clavicles: tuple[float, float]
    rise: float


def draw_skeleton(random: np.random.Generator) -> Skeleton:
    """Draw a skeleton at random."""
    spacing, first = random.uniform(0.064, 0.078), random.uniform(0.145, 0.175)
    even = first + spacing * np.arange(_RIB_PAIRS)
    right, left = random.uniform(0.195, 0.235, 2)
    return Skeleton(
        ribs=even + random.uniform(-0.018, 0.018, (2, _RIB_PAIRS)),
        slope=float(random.uniform(0.09, 0.23)),
        rib_width=float(random.uniform(0.009, 0.013)),
        vertebra=float(random.uniform(0.046, 0.064)),
        first_vertebra=float(random.uniform(0, 1)),
        clavicles=(float(right), float(left)),
        rise=float(random.uniform(0.05, 0.15)),
    )


def draw_pose(random: np.random.Generator) -> Pose:
    """Draw a pose and an exposure at random."""
    return Pose(
        tilt=float(random.uniform(-0.06, 0.06)),
        scale=float(random.uniform(0.92, 1.08)),
        shift=(float(random.uniform(-0.06, 0.06)), float(random.uniform(-0.03, 0.03))),
        lung_width=float(random.uniform(0.29, 0.35)),
        lung_base=float(random.uniform(0.72, 0.80)),
        heart_width=float(random.uniform(0.24, 0.32)),
        exposure=float(random.uniform(0.88, 1.10)),
        gamma=float(random.uniform(0.85, 1.2)),
        noise=float(random.uniform(0.008, 0.02)),
    )


def chest_film(
    random: np.random.Generator, *, opacity: bool, shape: tuple[int, int] = FILM_SHAPE
) -> Plane:
    """Draw one frontal chest film.

    Args:
        random: Source of everything that varies.
        opacity: Whether a lung holds one to three consolidations.
        shape: Rows and columns.

    Returns:
        float32, 0 to 1, (height, width); bone is bright.
    """
    pose, skeleton = draw_pose(random), draw_skeleton(random)
    x, y = _built(*_patient_grid(pose, shape), random=random)
    heart = _heart(x, y, pose=pose)
    lungs = _lungs(x, y, pose=pose) * (1 - heart)
    density = 0.60 * _body(x, y) + 0.06 * heart
    density -= 0.42 * lungs
    density += lungs * _vessels(x, y, random=random)
    density += _ribs(x, y, lungs=lungs, skeleton=skeleton)
    density += _mediastinum(x, y, skeleton=skeleton)
    density += _clavicles(x, y, skeleton=skeleton)
    # Drawn in both cases, so that films of both classes are alike in all else for equal seeds.
    consolidation = _consolidation(x, y, random=random)
    if opacity:
        density += lungs * consolidation
    return _expose(density, pose, random=random)


def _patient_grid(pose: Pose, shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Coordinates of every pixel in the patient's own frame."""
    rows, columns = shape
    y, x = np.meshgrid(
        np.linspace(0, 1, rows, dtype=np.float32),
        np.linspace(-1, 1, columns, dtype=np.float32),
        indexing="ij",
    )
    x, y = x - pose.shift[0], (y - pose.shift[1] - 0.5) * 2
    cosine, sine = np.cos(pose.tilt) / pose.scale, np.sin(pose.tilt) / pose.scale
    turned_x = (cosine * x + sine * y).astype(np.float32)
    turned_y = ((cosine * y - sine * x) / 2 + 0.5).astype(np.float32)
    return turned_x, turned_y


def _built(x: Plane, y: Plane, *, random: np.random.Generator) -> tuple[Plane, Plane]:
    """Bend a patient's frame softly: nobody is built like another."""
    grain = x.shape[0] / 14
    across, down = (_smooth_noise(x.shape, grain, random=random) for _ in range(2))
    return x + np.float32(0.035) * across, y + np.float32(0.0175) * down


def _inside(distance: Plane, softness: float) -> Plane:
    """1 where `distance` is negative, 0 where it is positive, soft at the edge."""
    return np.asarray(0.5 - 0.5 * np.tanh(distance / softness), dtype=np.float32)


def _body(x: Plane, y: Plane) -> Plane:
    """Neck, shoulders and trunk."""
    half_width = 0.26 + 0.62 / (1 + np.exp(-(y - 0.09) / 0.022)) - 0.06 * np.clip(y - 0.3, 0, 1)
    return _inside((np.abs(x) - half_width).astype(np.float32), 0.02)


def _lungs(x: Plane, y: Plane, *, pose: Pose) -> Plane:
    """Both lung fields, 0 to 1, each closed below by a dome of the diaphragm."""
    fields = np.zeros_like(x)
    for side, dome in ((-1, pose.lung_base - 0.03), (1, pose.lung_base)):
        outward = (x - side * 0.40) / pose.lung_width
        height = np.where(
            y < _LUNG_CENTER,
            (_LUNG_CENTER - y) / (_LUNG_CENTER - _LUNG_TOP),
            (y - _LUNG_CENTER) * 0.9,
        )
        outline = _inside(
            (np.abs(outward) ** 2.4 + np.abs(height) ** 2.4 - 1).astype(np.float32), 0.08
        )
        diaphragm = _inside((y - dome - 0.11 * outward**2).astype(np.float32), 0.012)
        fields = np.maximum(fields, outline * diaphragm)
    return fields.astype(np.float32)


def _vessels(x: Plane, y: Plane, *, random: np.random.Generator) -> Plane:
    """Lung markings: fine texture, stronger at the hila."""
    fine = _smooth_noise(x.shape, 3, random=random)
    coarse = _smooth_noise(x.shape, 9, random=random)
    hilar = np.exp(-(((np.abs(x) - 0.16) / 0.2) ** 2) - ((y - 0.46) / 0.16) ** 2)
    return ((0.018 * fine + 0.02 * coarse) * (0.6 + 1.4 * hilar) + 0.07 * hilar).astype(np.float32)


def _smooth_noise(shape: tuple[int, ...], sigma: float, *, random: np.random.Generator) -> Plane:
    """Noise of unit deviation whose grain is `sigma` pixels wide."""
    noise = random.standard_normal(shape, dtype=np.float32)
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma), dtype=np.float32)
    return blurred / np.float32(blurred.std() + 1e-6)


def _ribs(x: Plane, y: Plane, *, lungs: Plane, skeleton: Skeleton) -> Plane:
    """Posterior ribs: bright bands that fall away from the spine."""
    along = np.abs(x)
    thorax = _inside((along - 0.78).astype(np.float32), 0.03) * _inside(0.13 - y, 0.02)
    bands = np.zeros_like(x)
    for pair in range(_RIB_PAIRS):
        right, left = skeleton.ribs[:, pair].tolist()
        course = np.where(x < 0, right, left) + skeleton.slope * along**2 * (0.5 + 0.08 * pair)
        offset = (y - course) / skeleton.rib_width
        bands += np.exp(-(offset**2)) + 0.35 * np.exp(-((np.abs(offset) - 1.1) ** 2) / 0.1)
    return np.asarray(0.075 * bands * thorax * (0.35 + 0.65 * lungs), dtype=np.float32)


def _mediastinum(x: Plane, y: Plane, *, skeleton: Skeleton) -> Plane:
    """Spine and great vessels."""
    vertebrae = 0.5 + 0.5 * np.cos(2 * np.pi * (y / skeleton.vertebra + skeleton.first_vertebra))
    spine = _inside((np.abs(x) - 0.075).astype(np.float32), 0.015) * (0.05 + 0.03 * vertebrae)
    band = 0.09 * _inside((np.abs(x) - 0.12 - 0.03 * y).astype(np.float32), 0.04)
    return np.asarray(spine + band, dtype=np.float32)


def _heart(x: Plane, y: Plane, *, pose: Pose) -> Plane:
    """Heart and aortic knob, 0 to 1: where they are, there is no lung."""
    knob = _ellipse(x, y, center=(0.11, 0.33), radii=(0.095, 0.05))
    heart = _ellipse(x, y, center=(0.14, 0.63), radii=(pose.heart_width, 0.15), angle=0.5)
    return np.maximum(knob, heart)


def _ellipse(
    x: Plane,
    y: Plane,
    *,
    center: tuple[float, float],
    radii: tuple[float, float],
    angle: float = 0.0,
) -> Plane:
    """A filled ellipse with a soft edge; radii in x and in y."""
    across, down = x - center[0], (y - center[1]) * 2
    turned_x = np.cos(angle) * across + np.sin(angle) * down
    turned_y = np.cos(angle) * down - np.sin(angle) * across
    radius = (turned_x / radii[0]) ** 2 + (turned_y / (2 * radii[1])) ** 2
    return _inside((radius - 1).astype(np.float32), 0.25)


def _clavicles(x: Plane, y: Plane, *, skeleton: Skeleton) -> Plane:
    """Two bars that rise outwards in a flat S."""
    along = np.abs(x)
    right, left = skeleton.clavicles
    inner = np.where(x < 0, right, left)
    course = inner - skeleton.rise * along + 0.012 * np.sin(2 * np.pi * along)
    reach = _inside((np.abs(along - 0.42) - 0.34).astype(np.float32), 0.02)
    return (0.13 * np.exp(-(((y - course) / 0.013) ** 2)) * reach).astype(np.float32)


def _consolidation(x: Plane, y: Plane, *, random: np.random.Generator) -> Plane:
    """One to three soft patches with ragged edges, in one lung or in both."""
    ragged = 1 + 0.25 * _smooth_noise(x.shape, 7, random=random)
    patches = np.zeros_like(x)
    side = float(random.choice([-1.0, 1.0]))
    for _ in range(int(random.integers(1, 4))):
        center_x = side * random.uniform(0.30, 0.52)
        center_y = random.uniform(0.34, 0.66)
        radius_x, radius_y = random.uniform(0.16, 0.26), random.uniform(0.08, 0.14)
        patch = np.exp(-(((x - center_x) / radius_x) ** 2) - ((y - center_y) / radius_y) ** 2)
        patches += random.uniform(0.34, 0.46) * patch
        side *= float(random.choice([-1.0, 1.0], p=[0.3, 0.7]))
    return np.clip(patches * ragged, 0, 0.44).astype(np.float32)


def _expose(density: Plane, pose: Pose, *, random: np.random.Generator) -> Plane:
    """Turn densities into a film: scatter, display curve, noise, side marker, collimation."""
    scattered = 0.85 * density + 0.15 * cv2.GaussianBlur(density, (0, 0), density.shape[1] / 20)
    shown = np.clip(scattered * pose.exposure, 0, 1) ** pose.gamma
    grain = random.standard_normal(density.shape, dtype=np.float32)
    grain = 0.7 * grain + 0.6 * cv2.GaussianBlur(grain, (0, 0), 1.0)
    film = np.ascontiguousarray(shown + pose.noise * grain, dtype=np.float32)
    rows, columns = film.shape
    # A lead marker: the patient's left, at the right edge of the picture.
    foot, stem = int(rows * random.uniform(0.07, 0.11)), int(columns * 0.88)
    film[foot - rows // 32 : foot, stem : stem + 3] = 0.95
    film[foot - 3 : foot, stem : stem + columns // 32] = 0.95
    top, bottom, left, right = (int(share * rows) for share in random.uniform(0, 0.03, 4))
    open_field = np.zeros_like(film)
    open_field[top : rows - bottom, left : columns - right] = 1
    return np.asarray(np.clip(film * open_field, 0, 1), dtype=np.float32)
