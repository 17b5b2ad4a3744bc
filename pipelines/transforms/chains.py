"""Chains that more than one config names."""

from monai.transforms import Compose

from pipelines.transforms.augmentation import (
    RandBandGaind,
    RandGraind,
    RandPositiond,
    RandTextured,
    RandToned,
)
from pipelines.transforms.geometry import ResizeSquared
from pipelines.transforms.intensity import Standardised
from pipelines.transforms.reading import LoadRadiographd


def radiograph_preprocessing(image_size: int, *, film_size: int = 224) -> Compose:
    """Read a film, squeeze it to a square and standardise it.

    Every film passes through the same intermediate size, so that a film at full size and its copy
    as small as that give the same answer.

    Args:
        image_size: Side of the network's square in pixels.
        film_size: Side of the intermediate square in pixels.

    Returns:
        A chain from `{"image": path, "frame": index, ...}` to `image` as a float32 tensor
        (1, image_size, image_size) of mean 0 and standard deviation 1.
    """
    return Compose(
        [
            LoadRadiographd(keys="image"),
            ResizeSquared(keys="image", size=film_size),
            ResizeSquared(keys="image", size=image_size),
            Standardised(keys="image"),
        ]
    )


def radiograph_augmentation(image_size: int, *, film_size: int = 224) -> Compose:
    """Preprocess as `radiograph_preprocessing`, changing position and look on the way.

    Args:
        image_size: Side of the network's square in pixels.
        film_size: Side of the square in which films are kept and changed, in pixels.

    Returns:
        A chain with the same input and output as `radiograph_preprocessing`.
    """
    return Compose(
        [
            LoadRadiographd(keys="image"),
            ResizeSquared(keys="image", size=film_size),
            RandPositiond(keys="image"),
            RandBandGaind(keys="image"),
            RandTextured(keys="image"),
            RandGraind(keys="image"),
            RandToned(keys="image"),
            ResizeSquared(keys="image", size=image_size),
            Standardised(keys="image"),
        ]
    )
