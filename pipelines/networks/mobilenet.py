"""MobileNetV2 and V3, which MONAI lacks, with the parameter names of the common public weights."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import nn

from pipelines.networks.heads import build_head

Activation: TypeAlias = type[nn.ReLU] | type[nn.ReLU6] | type[nn.Hardswish] | None

# Expansion, output channels, blocks and stride of the first: table 2 of Sandler et al. 2018.
_STAGES_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_EPS_V3 = 1e-3


@dataclass(frozen=True, slots=True)
class _Row:
    """One block of MobileNetV3: a line of tables 1 and 2 of Howard et al. 2019."""

    kernel: int
    expanded: int
    outputs: int
    squeeze: bool
    hard_swish: bool
    stride: int


_LARGE = (
    _Row(3, 16, 16, False, False, 1),
    _Row(3, 64, 24, False, False, 2),
    _Row(3, 72, 24, False, False, 1),
    _Row(5, 72, 40, True, False, 2),
    _Row(5, 120, 40, True, False, 1),
    _Row(5, 120, 40, True, False, 1),
    _Row(3, 240, 80, False, True, 2),
    _Row(3, 200, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 184, 80, False, True, 1),
    _Row(3, 480, 112, True, True, 1),
    _Row(3, 672, 112, True, True, 1),
    _Row(5, 672, 160, True, True, 2),
    _Row(5, 960, 160, True, True, 1),
    _Row(5, 960, 160, True, True, 1),
)
_SMALL = (
    _Row(3, 16, 16, True, False, 2),
    _Row(3, 72, 24, False, False, 2),
    _Row(3, 88, 24, False, False, 1),
    _Row(5, 96, 40, True, True, 2),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 120, 48, True, True, 1),
    _Row(5, 144, 48, True, True, 1),
    _Row(5, 288, 96, True, True, 2),
    _Row(5, 576, 96, True, True, 1),
    _Row(5, 576, 96, True, True, 1),
)


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) at width 1.

    Depthwise convolutions train up to five times slower in bfloat16 than in float32 on a CPU,
    where the trainer keeps to float32.

    Args:
        in_channels: Channels of the image.
        out_channels: Number of logits.
        dropout: Share of the features that is dropped in training, before the head.
        hidden: Length of a layer inside the head; None has none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dropout: float = 0.2,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        channels, last = 32, 1280
        blocks: list[nn.Module] = [_convolution(in_channels, channels, 3, stride=2, act=nn.ReLU6)]
        for expansion, outputs, count, stride in _STAGES_V2:
            for index in range(count):
                blocks.append(_BlockV2(channels, outputs, expansion, stride=1 if index else stride))
                channels = outputs
        blocks.append(_convolution(channels, last, 1, act=nn.ReLU6))
        self.features = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        head = build_head(last, out_channels, dropout=dropout, hidden=hidden)
        self.classifier = nn.Sequential(nn.Dropout(dropout), head)
        _initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits.

        Args:
            images: (batch, channel, height, width), of 32 pixels or more each way.

        Returns:
            (batch, out_channels).
        """
        logits: torch.Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits


class MobileNetV3(nn.Module):
    """MobileNetV3 (Howard et al. 2019) at width 1.

    Depthwise convolutions train up to five times slower in bfloat16 than in float32 on a CPU,
    where the trainer keeps to float32.

    Args:
        size: `small` or `large`.
        in_channels: Channels of the image.
        out_channels: Number of logits.
        dropout: Share of the features that is dropped in training, before the head.
        hidden: Length of a layer inside the head; None has none.
    """

    def __init__(
        self,
        size: Literal["small", "large"],
        *,
        in_channels: int,
        out_channels: int,
        dropout: float = 0.2,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        rows, last = (_SMALL, 1024) if size == "small" else (_LARGE, 1280)
        channels = 16
        blocks: list[nn.Module] = [
            _convolution(in_channels, channels, 3, stride=2, act=nn.Hardswish, eps=_EPS_V3)
        ]
        for row in rows:
            blocks.append(_BlockV3(channels, row))
            channels = row.outputs
        wide = 6 * channels
        blocks.append(_convolution(channels, wide, 1, act=nn.Hardswish, eps=_EPS_V3))
        self.features = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(wide, last),
            nn.Hardswish(),
            nn.Dropout(dropout),
            build_head(last, out_channels, dropout=dropout, hidden=hidden),
        )
        _initialise(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits.

        Args:
            images: (batch, channel, height, width), of 32 pixels or more each way.

        Returns:
            (batch, out_channels).
        """
        logits: torch.Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits


class _BlockV2(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, *, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        layers = [] if expansion == 1 else [_convolution(inputs, inner, 1, act=nn.ReLU6)]
        layers.append(_convolution(inner, inner, 3, stride=stride, groups=inner, act=nn.ReLU6))
        # Public weights have the last convolution and its norm beside the others, not nested.
        layers.extend(_convolution(inner, outputs, 1))  # type: ignore[arg-type]
        self.conv = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.conv(features)
        return features + changed if self.adds else changed


class _BlockV3(nn.Module):
    def __init__(self, inputs: int, row: _Row) -> None:
        super().__init__()
        act: Activation = nn.Hardswish if row.hard_swish else nn.ReLU
        inner = row.expanded
        layers: list[nn.Module] = []
        if inner != inputs:
            layers.append(_convolution(inputs, inner, 1, act=act, eps=_EPS_V3))
        layers.append(
            _convolution(
                inner, inner, row.kernel, stride=row.stride, groups=inner, act=act, eps=_EPS_V3
            )
        )
        if row.squeeze:
            layers.append(_SqueezeExcitation(inner))
        layers.append(_convolution(inner, row.outputs, 1, eps=_EPS_V3))
        self.block = nn.Sequential(*layers)
        self.adds = row.stride == 1 and inputs == row.outputs

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.block(features)
        return features + changed if self.adds else changed


class _SqueezeExcitation(nn.Module):
    """Weigh channels by what they hold on average (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _multiple_of_eight(channels / 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.scale_activation = nn.Hardsigmoid()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        squeezed = self.activation(self.fc1(self.avgpool(features)))
        weights: torch.Tensor = self.scale_activation(self.fc2(squeezed))
        return features * weights


def _convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    act: Activation = None,
    eps: float = 1e-5,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=eps),
    ]
    if act is nn.Hardswish:  # its gradient needs the input, which in place would be copied first
        layers.append(act())
    elif act is not None:
        layers.append(act(inplace=True))
    return nn.Sequential(*layers)


def _multiple_of_eight(channels: float) -> int:
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest  # never 10 % below what was asked


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
