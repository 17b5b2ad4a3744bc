"""Chains that more than one config names."""

from monai.transforms import Compose

from pipelines.transforms.geometry import ResizeSquared
from pipelines.transforms.intensity import Standardised
from pipelines.transforms.reading import LoadRadiographd


def radiograph_preprocessing(image_size: int) -> Compose:
    """Read a film, squeeze it to a square and standardise it.

    Args:
        image_size: Side of the square in pixels.

    Returns:
        A chain from `{"image": path, "frame": index, ...}` to `image` as a float32 tensor
        (1, image_size, image_size) of mean 0 and standard deviation 1.
    """
    return Compose(
        [
            LoadRadiographd(keys="image"),
            ResizeSquared(keys="image", size=image_size),
            Standardised(keys="image"),
        ]
    )
