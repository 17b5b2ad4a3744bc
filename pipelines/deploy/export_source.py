"""What is exported: a bundle's network with its weights, and how prediction applies it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.deploy.export_table import Runner
from pipelines.errors import PlainfilmError
from pipelines.files import read_json_object
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.networks.weights import plain_network
from pipelines.workflows.bundle import Bundle

_USUAL_SIDE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What is exported.

    Attributes:
        network: On the CPU, in float32.
        weights: Its file.
        shape: Channels, height and width of a film.
        configuration: What the rest is built from.
    """

    network: nn.Module
    weights: Path
    shape: tuple[int, int, int]
    configuration: InferenceConfiguration

    @classmethod
    def of(
        cls, bundle: Bundle, overlays: Sequence[str], overrides: Mapping[str, object]
    ) -> "Source":
        """Build what is exported.

        Args:
            bundle: The bundle, with weights.
            overlays: Names or paths of configurations merged after `inference.json`.
            overrides: Values by id.

        Returns:
            Network, weights and configuration.

        Raises:
            PlainfilmError: If weights or configuration are missing or wrong.
        """
        configuration = InferenceConfiguration(bundle, dict(overrides), overlays=overlays)
        weights = Path(configuration.build("weights"))
        network = plain_network(configuration.build("network_def"), weights)
        return cls(network, weights, example_shape(bundle), configuration)

    def run(self, images: torch.Tensor) -> torch.Tensor:
        """Run the network over all views of films."""
        return self.apply(images, self.network)

    def apply(self, images: torch.Tensor, network: Runner) -> torch.Tensor:
        """Run another network over all views of films, as prediction does.

        Args:
            images: (batch, channel, height, width).
            network: What is applied to each view.

        Returns:
            What the network gives.
        """
        outputs: torch.Tensor = self.configuration.build("inferer")(images, network)
        return outputs

    @property
    def point(self) -> Any:
        """The operating point; None where the weights have none."""
        try:
            return self.configuration.build("postprocessing").operating_point
        except PlainfilmError:
            return None


def example_shape(bundle: Bundle) -> tuple[int, int, int]:
    """Return channels, height and width of an image that the network takes, from the metadata.

    A side that the metadata leaves open (`*`, `16*n`) becomes 64, or the multiple next to it.

    Args:
        bundle: The bundle.
    """
    image: object = read_json_object(bundle.metadata)
    for key in ("network_data_format", "inputs", "image"):
        image = image.get(key, {}) if isinstance(image, Mapping) else {}
    described = image if isinstance(image, Mapping) else {}
    sides = [_side(each) for each in described.get("spatial_shape", ())][-2:]
    height, width = sides if len(sides) > 1 else (_USUAL_SIDE, _USUAL_SIDE)
    return int(described.get("num_channels", 1)), height, width


def _side(written: int | str) -> int:
    if isinstance(written, int):
        return written
    step = written.partition("*")[0]
    unit = int(step) if step.isdecimal() else 1
    if "**" in written:  # such as 2**p*n: a power that has 64 among its multiples
        return _USUAL_SIDE
    return unit * max(1, _USUAL_SIDE // unit)
