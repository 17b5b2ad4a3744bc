"""Chains for networks that give back what they are shown: the label is the clean film."""

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import Compose, MapTransform, Transform

from pipelines.transforms.augmentation import RandGraind, RandPositiond, RandToned
from pipelines.transforms.contrast import Clahed
from pipelines.transforms.geometry import ResizeSquared, load_resized


class TakeAsLabeld(Transform):
    """Make the film, as it is at this place of the chain, the label."""

    # Kept in memory, each film would stand there twice.
    makes_larger = True

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the item with a copy of `image` under `label`."""
        return {**data, "label": data["image"].clone()}


def reconstruction_preprocessing(
    image_size: int = 1024,
    *,
    clahe: bool = False,
    clip_limit: float = 2.0,
    reduced_reading: bool = False,
) -> Compose:
    """Read a film and squeeze it to a square; grey values stay 0 to 1.

    Args:
        image_size: Side of the square in pixels.
        clahe: Equalise the film by CLAHE.
        clip_limit: Of CLAHE, see `equalise_clahe`.
        reduced_reading: Read large films at a lower resolution, see `read_radiograph`.

    Returns:
        A chain from `{"image": path, "frame": index, ...}` to `image` and `label`, both the same
        float32 tensor (1, image_size, image_size), 0 to 1.
    """
    film = _film(image_size, clahe=clahe, clip_limit=clip_limit, reduced=reduced_reading)
    return Compose([*film, TakeAsLabeld()])


def reconstruction_augmentation(
    image_size: int = 1024,
    *,
    clahe: bool = False,
    clip_limit: float = 2.0,
    degrees: float = 180.0,
    zoom: float = 0.1,
    tone: float = 0.0,
    noise: float = 0.0,
) -> Compose:
    """Preprocess as `reconstruction_preprocessing`, moving the film at random.

    Args:
        image_size: Side of the square in pixels.
        clahe: Equalise the film by CLAHE.
        clip_limit: Of CLAHE, see `equalise_clahe`.
        degrees: Largest turn to either side; films are also mirrored.
        zoom: Films shrink and grow by up to this share.
        tone: Strength of changes of exposure and contrast, 0 to 1; label and image change alike.
        noise: Largest standard deviation of noise on the image alone: the network learns to take it
            away.

    Returns:
        A chain with the same input and output as `reconstruction_preprocessing`; with `noise` the
        label is the film without it.
    """
    moving: list[MapTransform] = [
        RandPositiond(keys="image", zoom=(1 - zoom, 1 + zoom), degrees=degrees, shift=0.0)
    ]
    if tone:
        moving.append(RandToned(keys="image", strength=tone))
    noisy = [RandGraind(keys="image", largest=noise, prob=1.0)] if noise else []
    return Compose(
        [
            *_film(image_size, clahe=clahe, clip_limit=clip_limit),
            *moving,
            TakeAsLabeld(),
            *noisy,
        ]
    )


def _film(
    image_size: int, *, clahe: bool, clip_limit: float, reduced: bool = False
) -> list[MapTransform]:
    chain = load_resized(ResizeSquared(keys="image", size=image_size), reduced=reduced)
    if clahe:
        # 8 bits: on films of network size the limit of 16-bit histograms never bites.
        chain.append(Clahed(keys="image", clip_limit=clip_limit, bits=8))
    return chain
