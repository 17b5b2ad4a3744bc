"""Classifiers by name: MONAI's where it has them, in the shapes of the common public weights."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from monai.networks.nets import DenseNet121
from torch import nn

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names
from pipelines.networks.efficientnet import build_efficientnet
from pipelines.networks.heads import build_head, check_head
from pipelines.networks.mobilenet import MobileNetV2, MobileNetV3

if TYPE_CHECKING:
    from monai.networks.nets import ResNet

ClassifierName: TypeAlias = Literal[
    "densenet121",
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b4",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
]
CLASSIFIERS: tuple[str, ...] = get_args(ClassifierName)


def build_classifier(
    name: ClassifierName,
    *,
    in_channels: int,
    out_channels: int,
    dropout: float = 0.0,
    hidden: int | None = None,
) -> nn.Module:
    """Build a network from an image to logits, with random weights and without any download.

    Parameter names are MONAI's for DenseNet and EfficientNet, and those of torchvision for the
    others; `load_pretrained` knows both. EfficientNet and MobileNet may train up to five times
    slower in bfloat16 than in float32 on a CPU, because of their depthwise convolutions; DenseNet
    and ResNet train nearly twice as fast in it.

    Args:
        name: Which network.
        in_channels: Channels of the image: 1 grey, 3 colour.
        out_channels: Number of logits: 1 for two classes (log odds of the second), or one a class.
        dropout: Share of the pooled features that is dropped in training, 0 up to below 1.
        hidden: Length of one more layer in the head, followed by ReLU and dropout; None has none.

    Returns:
        A network from (batch, in_channels, height, width), of 32 pixels or more each way, to
        (batch, out_channels).

    Raises:
        ConfigurationError: If there is no such network, or a number breaks its rule.
    """
    builder = _BUILDERS.get(name)
    if builder is None:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME, f"no classifier named {str(name)!r}{right_names(name, _BUILDERS)}"
        )
    check_head(in_channels=in_channels, out_channels=out_channels, dropout=dropout, hidden=hidden)
    return builder(
        in_channels=in_channels, out_channels=out_channels, dropout=dropout, hidden=hidden
    )


def _build_densenet(
    *, in_channels: int, out_channels: int, dropout: float, hidden: int | None
) -> DenseNet121:
    network = DenseNet121(spatial_dims=2, in_channels=in_channels, out_channels=out_channels)
    layers = OrderedDict(network.class_layers.named_children())
    out = layers.pop("out")
    layers["dropout"] = nn.Dropout(dropout)
    if hidden is not None:
        out = build_head(out.in_features, out_channels, dropout=dropout, hidden=hidden)
    network.class_layers = nn.Sequential(OrderedDict(layers, out=out))
    return network


def _build_resnet(
    block: str,
    layers: list[int],
    *,
    in_channels: int,
    out_channels: int,
    dropout: float,
    hidden: int | None,
) -> "ResNet":
    # MONAI's module of it imports the clients of a model hub.
    from monai.networks.nets import ResNet

    network = ResNet(
        block=block,
        layers=layers,
        block_inplanes=[64, 128, 256, 512],
        spatial_dims=2,
        n_input_channels=in_channels,
        conv1_t_stride=2,
        num_classes=out_channels,
        bias_downsample=False,
    )
    network.avgpool = nn.Sequential(network.avgpool, nn.Dropout(dropout))
    if hidden is not None:
        network.fc = build_head(
            network.fc.in_features, out_channels, dropout=dropout, hidden=hidden
        )
    return network


_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "densenet121": _build_densenet,
    "resnet18": partial(_build_resnet, "basic", [2, 2, 2, 2]),
    "resnet50": partial(_build_resnet, "bottleneck", [3, 4, 6, 3]),
    "efficientnet_b0": partial(build_efficientnet, "efficientnet_b0"),
    "efficientnet_b1": partial(build_efficientnet, "efficientnet_b1"),
    "efficientnet_b2": partial(build_efficientnet, "efficientnet_b2"),
    "efficientnet_b4": partial(build_efficientnet, "efficientnet_b4"),
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3_small": partial(MobileNetV3, "small"),
    "mobilenet_v3_large": partial(MobileNetV3, "large"),
}
