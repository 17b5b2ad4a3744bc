"""A convolutional autoencoder whose output has the size of its input, or that is refused."""

from collections.abc import Sequence
from math import prod

from monai.networks.nets import AutoEncoder

from pipelines.errors import ConfigurationError, Reason


def build_autoencoder(
    image_size: int,
    *,
    channels: Sequence[int] = (32, 64, 128),
    latent_size: int = 128,
    strides: Sequence[int] = (2, 2, 2, 2),
    image_channels: int = 1,
    norm: str = "BATCH",
) -> AutoEncoder:
    """Build MONAI's `AutoEncoder`: strided convolutions in, transposed convolutions out.

    Args:
        image_size: Side of the square that the network will see, in pixels. The network itself
            takes any size that the strides divide.
        channels: Channels of the encoder's stages, the outermost first; the decoder mirrors them.
        latent_size: Channels of the innermost stage. The film is squeezed to `latent_size` times
            (image_size / product of the strides) squared numbers.
        strides: By what each stage shrinks the film, one a stage, the innermost among them.
        image_channels: Channels of the film, 1 for grey.
        norm: MONAI's name of the normalisation layers. `INSTANCE` forgets how bright and how rich
            in contrast a film is, `BATCH` keeps it.

    Returns:
        A network from (batch, image_channels, height, width) to the same shape.

    Raises:
        ConfigurationError: If a number is below 1, there is not one stride a stage, or the
            strides do not divide the size: the output would have another size than the input.

    Examples:
        >>> build_autoencoder(100)
        Traceback (most recent call last):
        ...
        pipelines.errors.ConfigurationError: expected an image_size that 16 (the strides 2 x 2 x \
2 x 2) divides, got 100; take 96 or 112
    """
    stages = [*channels, latent_size]
    if min(image_size, image_channels, *stages, *strides, len(channels)) < 1:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected image_size, image_channels, channels, latent_size and strides of at least 1, "
            f"got {image_size}, {image_channels}, {list(channels)}, {latent_size} and "
            f"{list(strides)}",
        )
    if len(strides) != len(stages):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected {len(stages)} strides, one for each of the channels {list(channels)} and "
            f"one for the latent stage, got {len(strides)}; add or remove strides",
        )
    _refuse_indivisible(image_size, strides)
    return AutoEncoder(
        spatial_dims=2,
        in_channels=image_channels,
        out_channels=image_channels,
        channels=stages,
        strides=list(strides),
        norm=norm,
    )


def _refuse_indivisible(image_size: int, strides: Sequence[int]) -> None:
    step = prod(strides)
    if image_size % step:
        below = image_size // step * step
        nearest = f"{below} or {below + step}" if below else f"{step}"
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected an image_size that {step} (the strides {' x '.join(map(str, strides))}) "
            f"divides, got {image_size}; take {nearest}",
        )
