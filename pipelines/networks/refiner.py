"""The refiner: one small network that draws the outline of any bone inside its own frame."""

from collections.abc import Sequence

import torch
from monai.networks.nets import UNet
from torch import nn
from torch.nn import functional

from pipelines.errors import ConfigurationError, Reason

_FINE = 8
_HIDDEN = 16
_LEAST_LEVELS = 2


class BoneRefiner(nn.Module):
    """A UNet over crops of single bones; all bones of a film go through it as one batch.

    What it sees of a bone is the film and what a first network said, both in the bone's frame. It
    knows which bone it draws by a few learnt numbers a bone. The UNet works at half the resolution
    of the crop; a last pair of convolutions sees its answer beside the crop itself.

    Batch norm, not instance norm: the latter would take away what the numbers of a bone add.

    Args:
        bones: Number of bones.
        channels: Of each level of the UNet; each is half as large as the one before it, but for the
            last, which is as large.
        embedding: How many numbers tell bones apart.

    Raises:
        ConfigurationError: If a number is below 1, or there are fewer than two levels.
    """

    def __init__(
        self, bones: int, *, channels: Sequence[int] = (32, 64, 96, 128), embedding: int = 8
    ) -> None:
        super().__init__()
        if min(bones, embedding, *channels) < 1 or len(channels) < _LEAST_LEVELS:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected one bone or more, two levels or more and channels of at least 1, got "
                f"{bones}, {list(channels)} and an embedding of {embedding}",
            )
        self.bones = bones
        self.channels = tuple(int(count) for count in channels)
        self.embedding = embedding
        self.in_channels = 2 * bones
        self.kinds = nn.Embedding(bones, embedding)
        self.unet = UNet(
            spatial_dims=2,
            in_channels=2 + embedding,
            out_channels=_FINE,
            channels=self.channels,
            strides=(2,) * (len(channels) - 1),
            num_res_units=1,
            norm="batch",
        )
        self.fine = nn.Conv2d(_FINE + 2, _HIDDEN, 3, padding=1)
        self.last = nn.Conv2d(_HIDDEN, 1, 3, padding=1)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Draw every bone.

        Args:
            crops: (batch, 2 bones, height, width): the film in the frame of each bone, then what
                the first network said there; sides are multiples of 2 to the number of levels
                less 1.

        Returns:
            Logits, (batch, bones, height, width), in the frame of each bone.
        """
        batch, _, height, width = crops.shape
        pairs = crops.reshape(batch, 2, self.bones, height, width).transpose(1, 2)
        pairs = pairs.reshape(batch * self.bones, 2, height, width)
        pairs = pairs.contiguous(memory_format=torch.channels_last)
        kinds = self.kinds.weight.repeat(batch, 1)[:, :, None, None]
        planes = kinds.expand(-1, -1, height, width).to(pairs.dtype)
        features = self.unet(torch.cat([pairs, planes], dim=1))
        fine = functional.relu(self.fine(torch.cat([features, pairs.to(features.dtype)], dim=1)))
        logits: torch.Tensor = self.last(fine)
        return logits.reshape(batch, self.bones, height, width)
