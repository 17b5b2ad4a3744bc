"""Chains of films with masks that more than one config names."""

from collections.abc import Sequence
from typing import Any

from monai.transforms import Compose

from pipelines.transforms.augmentation import RandGraind, RandToned
from pipelines.transforms.contrast import RandClahed
from pipelines.transforms.intensity import ImageNetNormalised, Stretched
from pipelines.transforms.layers import LoadLayersd, UnpackLayersd
from pipelines.transforms.letterbox import Letterboxd
from pipelines.transforms.paired_augmentation import RandCoarseDropoutd, RandWarpd
from pipelines.transforms.photometric import RandBlurd, RandJitterd
from pipelines.transforms.reading import LoadRadiographd

_KEYS = ("image", "label")


def segmentation_preprocessing(
    image_height: int,
    image_width: int,
    *,
    classes: Sequence[str],
    sides: bool = False,
    reduced_reading: bool = False,
) -> Compose:
    """Read a film, and its masks where it has any, and lay both into the network's rectangle.

    Args:
        image_height: Height of the network's rectangle in pixels.
        image_width: Width of it.
        classes: Names of the channels, in order.
        sides: One mask shows two organs, told apart by their side, see `load_layers`.
        reduced_reading: Read large films at a lower resolution, see `read_radiograph`; masks are
            read whole.

    Returns:
        A chain from `{"image": path, "label": place of the masks, ...}` to `image`, float32
        (1, image_height, image_width), about -2 to 2.4, and `label`, uint8 (classes, image_height,
        image_width), 0 or 1. The label may be missing. `placement` leads back to the film.
    """
    return Compose(
        [
            *_reading(
                image_height, image_width, classes=classes, sides=sides, reduced=reduced_reading
            ),
            *_normalising(len(classes)),
        ]
    )


def segmentation_augmentation(  # noqa: PLR0913 - every magnitude is a key of a config
    image_height: int,
    image_width: int,
    *,
    classes: Sequence[str],
    sides: bool = False,
    swaps: Sequence[Sequence[int]] = (),
    flip_prob: float = 0.5,
    degrees: float = 15.0,
    zoom: Sequence[float] = (0.85, 1.15),
    shift: float = 0.06,
    elastic: float = 0.004,
    elastic_prob: float = 0.5,
    crop: int | None = None,
    fineness: int = 2,
    brightness: float = 0.15,
    contrast: float = 0.15,
    tone: float = 0.4,
    clahe_prob: float = 0.2,
    noise: float = 0.04,
    noise_prob: float = 0.3,
    blur_prob: float = 0.15,
    dropout_prob: float = 0.2,
) -> Compose:
    """Preprocess as `segmentation_preprocessing`, changing films, and masks with them, on the way.

    Args:
        image_height: Height of the network's rectangle in pixels.
        image_width: Width of it.
        classes: Names of the channels, in order.
        sides: One mask shows two organs, told apart by their side, see `load_layers`.
        swaps: Pairs of channels that change places when a film is mirrored.
        flip_prob: Probability of mirroring left and right.
        degrees: Largest turn to either side.
        zoom: Smallest and largest scale.
        shift: Largest shift as a share of the side.
        elastic: How much films bend, see `RandWarpd`.
        elastic_prob: Probability of a bend.
        crop: Side of the square that is cut out of the rectangle at random; None keeps all of it.
        fineness: Masks are kept with so many pixels along each pixel of the rectangle, and read
            inside it at random, see `paired_augmentation`; 1 reads them at its middle.
        brightness: Brightness changes by factors of 1 - this to 1 + this.
        contrast: Contrast changes by factors of 1 - this to 1 + this.
        tone: How much the curve of greys (gamma and more) changes, 0 to 1, see `RandToned`.
        clahe_prob: Probability of CLAHE.
        noise: Largest standard deviation of noise.
        noise_prob: Probability of noise.
        blur_prob: Probability of a Gaussian blur.
        dropout_prob: Probability that rectangles are covered.

    Returns:
        A chain with the same input and output as `segmentation_preprocessing`.
    """
    return Compose(
        [
            *_reading(image_height, image_width, classes=classes, sides=sides, fineness=fineness),
            RandWarpd(
                keys=_KEYS,
                degrees=degrees,
                zoom=zoom,
                shift=shift,
                flip_prob=flip_prob,
                swaps=swaps,
                elastic=elastic,
                elastic_prob=elastic_prob,
                crop=crop,
            ),
            RandJitterd(keys="image", brightness=brightness, contrast=contrast, prob=0.5),
            RandToned(keys="image", strength=tone),
            RandClahed(keys="image", prob=clahe_prob, bits=8),
            RandBlurd(keys="image", prob=blur_prob),
            RandGraind(keys="image", largest=noise, prob=noise_prob),
            RandCoarseDropoutd(keys="image", prob=dropout_prob),
            *_normalising(len(classes)),
        ]
    )


def _reading(
    height: int,
    width: int,
    *,
    classes: Sequence[str],
    sides: bool,
    fineness: int = 1,
    reduced: bool = False,
) -> list[Any]:
    letterbox = Letterboxd(
        keys=_KEYS, height=height, width=width, fineness=fineness, allow_missing_keys=True
    )
    return [
        LoadRadiographd(keys="image", least_size=letterbox.target if reduced else None),
        LoadLayersd(keys="label", classes=classes, sides=sides, allow_missing_keys=True),
        Stretched(keys="image"),
        letterbox,
    ]


def _normalising(channels: int) -> list[Any]:
    # The scale is the same for all films: a piece of one looks as it does in the whole.
    return [
        ImageNetNormalised(keys="image"),
        UnpackLayersd(keys="label", channels=channels, allow_missing_keys=True),
    ]
