"""A bundle's network with its weights in one file that runs without this package."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from pipelines.deploy.description import describe
from pipelines.deploy.torchscript import load_torchscript, save_torchscript
from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.files import read_json_object, whole_file
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.nearest import right_names
from pipelines.networks.weights import plain_network
from pipelines.workflows.bundle import Bundle

TOLERANCE = 1e-5
"""Largest difference between exported and original network, as a share of the largest output."""

_BATCHES = (1, 2)  # two, so that a network which was frozen to one size of batch is noticed
_USUAL_SIDE = 64


class ExportFormat(StrEnum):
    """What a network can be exported as."""

    TORCHSCRIPT = "torchscript"


Runner: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Writer:
    """How a format is written and run.

    Attributes:
        suffix: Of its files.
        save: Writes a network and the texts that go with it, by name.
        load: Makes a function of a file.
    """

    suffix: str
    save: Callable[[nn.Module, Path, Mapping[str, str]], None]
    load: Callable[[Path], Runner]


_WRITERS = {ExportFormat.TORCHSCRIPT: _Writer(".ts", save_torchscript, load_torchscript)}


def export_bundle(
    bundle: Bundle,
    *,
    export_format: str = ExportFormat.TORCHSCRIPT,
    output: Path | None = None,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> Path:
    """Write the network of a bundle's `inference.json` with its weights, and see that it is right.

    The file takes prepared films, float32 (batch, channel, height, width), and gives what the
    network gives. What prepares films, what averages mirror images and the operating point are
    not part of it: they are described in the texts that it carries (`describe`).

    Args:
        bundle: The bundle, with weights.
        export_format: One of `ExportFormat`.
        output: File to write; None writes `models/model` with the format's suffix.
        overlays: Names or paths of configurations merged after `inference.json`.
        overrides: Values by id of the configuration.

    Returns:
        The file. It was read back, and gave the numbers of the original within `TOLERANCE`.

    Raises:
        ConfigurationError: If there is no such format, or the configuration is wrong.
        RunError: If there are no weights, they do not fit (WEIGHTS_MISSING, WEIGHTS_MISMATCH), or
            the exported network gives other numbers (INTERNAL).
    """
    writer = _writer(export_format)
    configuration = InferenceConfiguration(bundle, dict(overrides or {}), overlays=overlays)
    weights = Path(configuration.build("weights"))
    network = plain_network(configuration.build("network_def"), weights)
    texts = describe(bundle, weights, overlays=overlays, overrides=overrides or {})
    path = output or bundle.root / "models" / f"model{writer.suffix}"
    with whole_file(path) as temporary:
        writer.save(network, temporary, texts)
        _compare(network, writer.load(temporary), example_shape(bundle))
    return path


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


def _writer(name: str) -> _Writer:
    if name not in list(ExportFormat):
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"no export format named {name!r}{right_names(name, list(ExportFormat))}",
        )
    return _WRITERS[ExportFormat(name)]


@torch.inference_mode()
def _compare(network: nn.Module, exported: Runner, shape: tuple[int, int, int]) -> None:
    random = torch.Generator().manual_seed(0)
    for count in _BATCHES:
        images = torch.randn((count, *shape), generator=random)
        expected, found = network(images), exported(images)
        largest = max(1.0, float(expected.abs().max()))
        if found.shape != expected.shape or not torch.allclose(
            found, expected, rtol=0, atol=TOLERANCE * largest
        ):
            raise RunError(
                Reason.INTERNAL,
                f"expected the exported network to give the numbers of the original within "
                f"{TOLERANCE:g} of the largest, got others; nothing was written, please report it",
            )
