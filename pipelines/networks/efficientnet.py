"""EfficientNet as MONAI has it, changed in what does not suit any size of image."""

from monai.networks.nets import EfficientNetBN
from monai.networks.nets.efficientnet import EfficientNet, MBConvBlock
from torch import nn

from pipelines.networks.heads import build_head

# As in the public PyTorch weights. MONAI's momentum of 0.01 comes from runs of millions of steps:
# in an epoch of a few hundred the running statistics would not have arrived.
_NORM = ("batch", {"eps": 1e-5, "momentum": 0.1})


def build_efficientnet(
    name: str, *, in_channels: int, out_channels: int, dropout: float, hidden: int | None
) -> EfficientNet:
    """Build EfficientNet-B0 … B7 (Tan and Le 2019) with the parameter names of MONAI's.

    Three things differ from `EfficientNetBN`. The head starts small. Convolutions pad both sides
    alike, as in the public PyTorch weights; MONAI's padding is computed for one size of image, and
    so is right for that one only. SiLU is PyTorch's own, which is faster and needs no switch before
    export.

    Depthwise convolutions train up to five times slower in bfloat16 than in float32 on a CPU, which
    the trainer therefore uses there.

    Args:
        name: Such as `efficientnet_b0`.
        in_channels: Channels of the image.
        out_channels: Number of logits.
        dropout: Share of the features that is dropped in training, before the head.
        hidden: Length of a layer inside the head; None has none.

    Returns:
        The network, its weights random.
    """
    network = EfficientNetBN(
        name.replace("_", "-"),
        pretrained=False,
        spatial_dims=2,
        in_channels=in_channels,
        num_classes=out_channels,
        norm=_NORM,
    )
    for module in network.modules():
        if isinstance(module, MBConvBlock):
            _pad_both_sides(module, "_depthwise_conv")
        if isinstance(module, MBConvBlock | EfficientNet):
            module._swish = nn.SiLU()
    _pad_both_sides(network, "_conv_stem")
    network._dropout = nn.Dropout(dropout)
    # MONAI's head starts with weights as large as 1 / sqrt(outputs): with one logit that is noise
    # of several units, which takes epochs to unlearn.
    features = network._fc.in_features
    network._fc = build_head(features, out_channels, dropout=dropout, hidden=hidden)
    return network


def _pad_both_sides(module: nn.Module, name: str) -> None:
    convolution = getattr(module, name)
    convolution.padding = tuple(side // 2 for side in convolution.kernel_size)
    setattr(module, f"{name}_padding", nn.Identity())
