"""What other libraries call the layers of our classifiers, so that their weights load.

The names are those of the state dicts that torchvision, timm and EfficientNet-PyTorch publish.
Blocks of EfficientNet and MobileNet hold the same layers in the same order everywhere, so each
layer of a block is known by its place.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from monai.networks.nets import ResNet
from monai.networks.nets.densenet import DenseNet
from monai.networks.nets.efficientnet import EfficientNet
from torch import nn

from pipelines.networks.mobilenet import MobileNetV2, MobileNetV3

Scheme: TypeAlias = Callable[[str], str]
"""From the name of a parameter here to its name in a file."""

_Block: TypeAlias = Callable[[int, bool], list[str]]

# Blocks of each stage in timm, by how many blocks the network has in all.
_TIMM_STAGES = {17: (1, 2, 3, 4, 3, 3, 1), 15: (1, 2, 3, 4, 2, 3), 11: (1, 2, 3, 2, 3)}
_WITH_SQUEEZE = {True: 8, False: 6}  # layers of a block that has them, by whether it expands


@dataclass(frozen=True, slots=True)
class Naming:
    """What the layers of a network are called.

    Attributes:
        head: Name of the last layer, whose shape depends on the classes; None if there is none.
        schemes: Names in files of other libraries, by library.
    """

    head: str | None = None
    schemes: Mapping[str, Scheme] = field(default_factory=dict)

    def is_head(self, name: str) -> bool:
        """Whether a parameter belongs to the head."""
        return self.head is not None and name.startswith(f"{self.head}.")

    def best(self, names: Iterable[str], given: Iterable[str]) -> tuple[str, dict[str, str]]:
        """Return the scheme that most names of a file follow.

        Args:
            names: Names of the network's parameters.
            given: Names in the file.

        Returns:
            The library, or `own`, and the name in the file for each name of the network.
        """
        wanted, present = list(names), set(given)
        schemes: dict[str, Scheme] = {"own": str, **self.schemes}
        tried = {
            library: {name: scheme(name) for name in wanted} for library, scheme in schemes.items()
        }
        best = max(tried, key=lambda library: len(present.intersection(tried[library].values())))
        return best, tried[best]


def naming_of(network: nn.Module) -> Naming:
    """Return what is known about the names of a network; of an unknown one only its own."""
    if isinstance(network, DenseNet):
        return Naming("class_layers.out", {"torchvision": _densenet, "older": _older_densenet})
    if isinstance(network, ResNet):  # torchvision and timm use the same names
        return Naming("fc")
    if isinstance(network, EfficientNet):
        return Naming("_fc", _efficientnet(network))
    if isinstance(network, MobileNetV2):
        ends = {"features.18.0": "conv_head", "features.18.1": "bn2", "classifier.1": "classifier"}
        return Naming("classifier.1", {"timm": _mobilenet(network, ends)})
    if isinstance(network, MobileNetV3):
        last = len(network.features) - 1
        stage = len(_TIMM_STAGES[last - 1])
        ends = {
            f"features.{last}.0": f"blocks.{stage}.0.conv",
            f"features.{last}.1": f"blocks.{stage}.0.bn1",
            "classifier.0": "conv_head",
            "classifier.3": "classifier",
        }
        return Naming("classifier.3", {"timm": _mobilenet(network, ends)})
    return Naming()


def _densenet(name: str) -> str:
    return name.replace(".layers.", ".").replace("class_layers.out", "classifier")


def _older_densenet(name: str) -> str:
    """Put a dot before the number inside dense layers, as in torchvision's published files."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", _densenet(name))


def _efficientnet(network: EfficientNet) -> dict[str, Scheme]:
    stages = [
        [f"_blocks.{stage}.{block}" for block, _ in blocks.named_children()]
        for stage, blocks in network._blocks.named_children()
    ]
    layers = _layers(network)
    torchvision = _paired(layers, stages, "features.{}.{}.block", _torchvision_block, first=1)
    torchvision |= {
        "_conv_stem": "features.0.0",
        "_bn0": "features.0.1",
        "_conv_head": f"features.{len(stages) + 1}.0",
        "_bn1": f"features.{len(stages) + 1}.1",
        "_fc": "classifier.1",
    }
    timm = _paired(layers, stages, "blocks.{}.{}", _timm_block)
    timm |= {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    return {
        "torchvision": _scheme(torchvision),
        "timm": _scheme(timm),
        "EfficientNet-PyTorch": lambda name: re.sub(r"_blocks\.\d+\.", "_blocks.", name),
    }


def _mobilenet(network: MobileNetV2 | MobileNetV3, ends: Mapping[str, str]) -> Scheme:
    blocks = [f"features.{index}" for index in range(1, len(network.features) - 1)]
    stages: list[list[str]] = []
    for count in _TIMM_STAGES[len(blocks)]:
        stages.append(blocks[:count])
        blocks = blocks[count:]
    pairs = _paired(_layers(network), stages, "blocks.{}.{}", _timm_block)
    return _scheme({"features.0.0": "conv_stem", "features.0.1": "bn1", **pairs, **ends})


def _layers(network: nn.Module) -> list[str]:
    """Names of the layers that hold parameters, in order."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in network.state_dict()))


def _paired(
    layers: Sequence[str],
    stages: Sequence[Sequence[str]],
    place: str,
    block: _Block,
    *,
    first: int = 0,
) -> dict[str, str]:
    """Pair the layers of each block with those of another library; only the first does not expand.

    Args:
        layers: Names of all layers here, in order.
        stages: Names of the blocks here, by stage.
        place: Name of a block there, with places for stage and block.
        block: Names of a block's layers there, by their number and whether the block expands.
        first: Number of the first stage there.
    """
    pairs: dict[str, str] = {}
    for stage, names in enumerate(stages):
        for index, name in enumerate(names):
            here = [layer for layer in layers if layer.startswith(f"{name}.")]
            there = place.format(stage + first, index)
            for layer, other in zip(here, block(len(here), stage > 0), strict=True):
                pairs[layer] = f"{there}.{other}"
    return pairs


def _timm_block(layers: int, expands: bool) -> list[str]:
    squeeze = ["se.conv_reduce", "se.conv_expand"] if layers == _WITH_SQUEEZE[expands] else []
    if expands:
        return ["conv_pw", "bn1", "conv_dw", "bn2", *squeeze, "conv_pwl", "bn3"]
    return ["conv_dw", "bn1", *squeeze, "conv_pw", "bn2"]


def _torchvision_block(_layers: int, expands: bool) -> list[str]:
    if expands:
        return ["0.0", "0.1", "1.0", "1.1", "2.fc1", "2.fc2", "3.0", "3.1"]
    return ["0.0", "0.1", "1.fc1", "1.fc2", "2.0", "2.1"]


def _scheme(pairs: Mapping[str, str]) -> Scheme:
    def rename(name: str) -> str:
        layer, _, parameter = name.rpartition(".")
        return f"{pairs.get(layer, layer)}.{parameter}"

    return rename
