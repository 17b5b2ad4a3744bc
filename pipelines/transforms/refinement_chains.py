"""Chains of the refiner: from a film with masks to crops of its bones, changed or as they are."""

from collections.abc import Sequence
from typing import Any

from monai.transforms import Compose

from pipelines.transforms.augmentation import RandBandGaind, RandGraind, RandTextured, RandToned
from pipelines.transforms.bone_crops import Coarse
from pipelines.transforms.intensity import Stretched
from pipelines.transforms.layers import LoadLayersd
from pipelines.transforms.paired_augmentation import RandCoarseDropoutd
from pipelines.transforms.photometric import RandJitterd
from pipelines.transforms.reading import LoadRadiographd
from pipelines.transforms.refinement import CutBonesd, JoinCropsd, RandReframed


def refinement_preprocessing(
    height: int, width: int, *, coarse: Coarse, classes: Sequence[str], margin: float = 0.3
) -> Compose:
    """Read a film, and its masks where it has any, and cut its bones out.

    Args:
        height: Height of a crop in pixels.
        width: Width of it.
        coarse: The first network, which finds the bones.
        classes: Names of the bones, in the order of its maps.
        margin: What a crop shows around a bone on each side, as a share of the root of the bone's
            length times its width.

    Returns:
        A chain from `{"image": path, "label": place of the masks, ...}` to `image`, float32
        (2 bones, height, width), and `label`, uint8 (bones, height, width), 0 or 1.
    """
    return Compose(
        [
            *_reading(classes),
            CutBonesd(
                keys="image",
                coarse=coarse,
                classes=classes,
                height=height,
                width=width,
                margin=margin,
            ),
            JoinCropsd(keys="image"),
        ]
    )


def refinement_augmentation(  # noqa: PLR0913 - every magnitude is a key of a config
    height: int,
    width: int,
    *,
    coarse: Coarse,
    classes: Sequence[str],
    margin: float = 0.3,
    room: float = 1.4,
    fineness: float = 1.25,
    degrees: float = 5.0,
    zoom: float = 0.06,
    shift: float = 0.06,
    astray: float = 0.3,
    bend: float = 0.03,
    move_prob: float = 0.9,
    brightness: float = 0.2,
    contrast: float = 0.2,
    tone: float = 1.0,
    bands: float = 0.6,
    bands_prob: float = 0.5,
    texture_prob: float = 0.5,
    noise: float = 0.08,
    noise_prob: float = 0.4,
    dropout_prob: float = 0.1,
) -> Compose:
    """Preprocess as `refinement_preprocessing`, changing crops on the way.

    Args:
        height: Height of a crop in pixels.
        width: Width of it.
        coarse: The first network, which finds the bones.
        classes: Names of the bones, in the order of its maps.
        margin: As in `refinement_preprocessing`.
        room: Crops are kept so many times larger along each side, so that bones can move.
        fineness: Crops are kept with so many pixels along each pixel.
        degrees: Standard deviation of the turn of a bone in its frame, see `RandReframed`.
        zoom: Standard deviation of the logarithm of its zoom.
        shift: Standard deviation of its shift in shares of half a crop.
        astray: How much of all this the first network's answer moves by itself.
        bend: How much that answer bends.
        move_prob: Probability that bones move.
        brightness: Brightness changes by factors of 1 - this to 1 + this.
        contrast: Contrast changes by factors of 1 - this to 1 + this.
        tone: How much the curve of greys changes, 0 to 1, see `RandToned`.
        bands: How much fine, middle and coarse detail changes, see `RandBandGaind`.
        bands_prob: Probability of that.
        texture_prob: Probability of blur, sharpening, resampling or JPEG, see `RandTextured`.
        noise: Largest standard deviation of noise.
        noise_prob: Probability of noise.
        dropout_prob: Probability that rectangles are covered.

    Returns:
        A chain with the same input and output.
    """
    return Compose(
        [
            *_reading(classes),
            CutBonesd(
                keys="image",
                coarse=coarse,
                classes=classes,
                height=height,
                width=width,
                margin=margin,
                span=room,
                fineness=fineness,
            ),
            RandReframed(
                height,
                width,
                span=room,
                degrees=degrees,
                zoom=zoom,
                shift=shift,
                astray=astray,
                bend=bend,
                prob=move_prob,
            ),
            RandJitterd(keys="image", brightness=brightness, contrast=contrast, prob=0.5),
            RandToned(keys="image", strength=tone),
            RandBandGaind(keys="image", strength=bands, prob=bands_prob),
            RandTextured(keys="image", prob=texture_prob, jpeg_prob=0.2),
            RandGraind(keys="image", largest=noise, prob=noise_prob),
            RandCoarseDropoutd(keys="image", prob=dropout_prob, holes=2),
            JoinCropsd(keys="image"),
        ]
    )


def _reading(classes: Sequence[str]) -> list[Any]:
    return [
        LoadRadiographd(keys="image"),
        LoadLayersd(keys="label", classes=classes, allow_missing_keys=True),
        Stretched(keys="image"),
    ]
