"""Chains that more than one config names."""

from collections.abc import Sequence

from monai.transforms import Compose, MapTransform

from pipelines.transforms.augmentation import (
    RandBandGaind,
    RandGraind,
    RandPositiond,
    RandTextured,
    RandToned,
)
from pipelines.transforms.contrast import RandClahed
from pipelines.transforms.geometry import ResizeShortSided, ResizeSquared, load_resized
from pipelines.transforms.intensity import ImageNetNormalised, Standardised
from pipelines.transforms.middle import CropMiddled
from pipelines.transforms.photometric import (
    RandBlurd,
    RandGreyd,
    RandJitterd,
    RandResizedCropd,
)
from pipelines.transforms.reading import LoadRadiographd


def radiograph_preprocessing(
    image_size: int, *, film_size: int = 224, channels: int = 1, reduced_reading: bool = False
) -> Compose:
    """Read a film, squeeze it to a square and standardise it.

    Every film passes through the same intermediate size, so that a film at full size and its copy
    as small as that give the same answer.

    Args:
        image_size: Side of the network's square in pixels.
        film_size: Side of the intermediate square in pixels.
        channels: 1 gives grey, 3 gives colour.
        reduced_reading: Read large films at a lower resolution, see `read_radiograph`.

    Returns:
        A chain from `{"image": path, "frame": index, ...}` to `image` as a float32 tensor
        (channels, image_size, image_size) of mean 0 and standard deviation 1.
    """
    return Compose(
        [
            *load_resized(
                ResizeSquared(keys="image", size=film_size),
                channels=channels,
                reduced=reduced_reading,
            ),
            ResizeSquared(keys="image", size=image_size),
            Standardised(keys="image"),
        ]
    )


def radiograph_augmentation(
    image_size: int,
    *,
    film_size: int = 224,
    zoom: Sequence[float] = (0.8, 1.25),
    shading: float = 0.3,
) -> Compose:
    """Preprocess as `radiograph_preprocessing`, changing position and look on the way.

    Args:
        image_size: Side of the network's square in pixels.
        film_size: Side of the square in which films are kept and changed, in pixels.
        zoom: Smallest and largest zoom: below 1 a film gets a black border, above 1 it is cropped.
        shading: Uneven exposure, as the heel effect and collimation leave it: largest coefficient
            of a smooth field of factors.

    Returns:
        A chain with the same input and output as `radiograph_preprocessing`.
    """
    from monai.transforms import RandBiasFieldd

    return Compose(
        [
            LoadRadiographd(keys="image"),
            ResizeSquared(keys="image", size=film_size),
            RandPositiond(keys="image", zoom=zoom),
            RandBiasFieldd(keys="image", degree=2, coeff_range=(-shading, shading), prob=0.3),
            RandBandGaind(keys="image"),
            RandTextured(keys="image"),
            RandGraind(keys="image"),
            RandToned(keys="image"),
            ResizeSquared(keys="image", size=image_size),
            Standardised(keys="image"),
        ]
    )


def recipe_augmentation(  # noqa: PLR0913 - every magnitude is a key of a config
    image_size: int,
    *,
    film_size: int = 224,
    channels: int = 1,
    rotation: float = 0.0,
    flip_prob: float = 0.5,
    scale: Sequence[float] = (1.0, 1.0),
    ratio: Sequence[float] = (1.0, 1.0),
    zoom: Sequence[float] = (1.0, 1.0),
    shift: float = 0.0,
    colour_jitter: float = 0.0,
    blur_prob: float = 0.0,
    blur_sigma: Sequence[float] = (0.1, 2.0),
    grayscale_prob: float = 0.0,
) -> Compose:
    """Preprocess as `radiograph_preprocessing`, changing films as published recipes do.

    What stands at its default changes nothing, the mirroring apart, so that a recipe is the few
    keys that it names.

    Args:
        image_size: Side of the network's square in pixels.
        film_size: Side of the square in which films are kept and changed, in pixels.
        channels: 1 gives grey, 3 gives colour.
        rotation: Largest turn to either side in degrees.
        flip_prob: Probability of mirroring left and right.
        scale: Random resized crop: smallest and largest share of the area that is kept.
        ratio: Random resized crop: smallest and largest width against height.
        zoom: Affine: smallest and largest zoom; above 1 enlarges.
        shift: Affine: largest shift as a share of the side.
        colour_jitter: Brightness and contrast change by factors of 1 - this to 1 + this.
        blur_prob: Probability of a Gaussian blur.
        blur_sigma: Its smallest and largest width in pixels of a film of 224 pixels.
        grayscale_prob: Probability of taking colour out; nothing to films of one channel.

    Returns:
        A chain with the same input and output as `radiograph_preprocessing`.
    """
    return Compose(
        [
            LoadRadiographd(keys="image", channels=channels),
            ResizeSquared(keys="image", size=film_size),
            RandPositiond(
                keys="image", zoom=zoom, degrees=rotation, shift=shift, flip_prob=flip_prob
            ),
            RandResizedCropd(keys="image", scale=scale, ratio=ratio),
            RandJitterd(keys="image", brightness=colour_jitter, contrast=colour_jitter),
            RandGreyd(keys="image", prob=grayscale_prob),
            RandBlurd(keys="image", sigma=blur_sigma, prob=blur_prob),
            ResizeSquared(keys="image", size=image_size),
            Standardised(keys="image"),
        ]
    )


def efficientnet_preprocessing(
    image_size: int = 224, *, channels: int = 1, reduced_reading: bool = False
) -> Compose:
    """Read a film, keep its ratio, take the square in its middle and normalise as for ImageNet.

    Unlike `radiograph_preprocessing` it cuts off what a film that is no square has at its ends, and
    a film squeezed to a square beforehand does not give the same answer as the film itself.

    Args:
        image_size: Length of the film's shorter side, and side of the square, in pixels.
        channels: 1 gives grey, 3 gives colour.
        reduced_reading: Read large films at a lower resolution, see `read_radiograph`.

    Returns:
        A chain from `{"image": path, "frame": index, ...}` to `image` as a float32 tensor
        (channels, image_size, image_size).
    """
    return Compose(
        [
            *_middle_square(image_size, channels, reduced=reduced_reading),
            ImageNetNormalised(keys="image"),
        ]
    )


def efficientnet_augmentation(  # noqa: PLR0913 - every magnitude is a key of a config
    image_size: int = 224,
    *,
    channels: int = 1,
    clahe_prob: float = 0.5,
    clahe_limit: Sequence[float] = (1.0, 4.0),
    rotation: float = 15.0,
    scale: Sequence[float] = (0.75, 1.0),
    ratio: Sequence[float] = (0.75, 1.33),
    flip_prob: float = 0.5,
    brightness: float = 0.2,
    contrast: float = 0.2,
    blur_prob: float = 0.2,
    blur_sigma: Sequence[float] = (0.1, 2.0),
) -> Compose:
    """Preprocess as `efficientnet_preprocessing`, changing position and look on the way.

    Args:
        image_size: Side of the square in pixels.
        channels: 1 gives grey, 3 gives colour.
        clahe_prob: Probability of CLAHE.
        clahe_limit: Its lowest and highest clip limit.
        rotation: Largest turn to either side in degrees.
        scale: Random crop: smallest and largest share of the area that is kept and enlarged.
        ratio: Random crop: smallest and largest width against height. Beside 1 it also makes up for
            films that were squeezed to a square before they were handed out.
        flip_prob: Probability of mirroring left and right.
        brightness: Factors are 1 - brightness to 1 + brightness.
        contrast: Factors are 1 - contrast to 1 + contrast.
        blur_prob: Probability of a Gaussian blur.
        blur_sigma: Its smallest and largest width in pixels of a film of 224 pixels.

    Returns:
        A chain with the same input and output as `efficientnet_preprocessing`.
    """
    return Compose(
        [
            *_middle_square(image_size, channels),
            # 8 bits: on films of network size the limit of 16-bit histograms never bites.
            RandClahed(keys="image", prob=clahe_prob, clip_limit=clahe_limit, bits=8),
            RandPositiond(
                keys="image", zoom=(1.0, 1.0), degrees=rotation, shift=0.0, flip_prob=flip_prob
            ),
            RandResizedCropd(keys="image", scale=scale, ratio=ratio),
            RandJitterd(keys="image", brightness=brightness, contrast=contrast),
            RandBlurd(keys="image", sigma=blur_sigma, prob=blur_prob),
            ImageNetNormalised(keys="image"),
        ]
    )


def _middle_square(image_size: int, channels: int, *, reduced: bool = False) -> list[MapTransform]:
    resize = ResizeShortSided(keys="image", short_side=image_size)
    return [
        *load_resized(resize, channels=channels, reduced=reduced),
        CropMiddled(keys="image", size=image_size),
    ]
