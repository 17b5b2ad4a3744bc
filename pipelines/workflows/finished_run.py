"""Read what a finished run left: its figures, the films they are of, its network."""

import csv
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.comparison import ComparedRun
from pipelines.evaluation.figures import Figure

logger = logging.getLogger(__name__)

METRICS = "metrics.json"

_TABLES_OF_FILMS = ("predictions.csv", "cases.csv")
_BATCH = 8
_SECONDS = 1.0
_WEIGHTS_OF_CONVOLUTION = 4


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that was read.

    Attributes:
        row: Its row of a comparison.
        films: A mark of the very films that its figures are of; equal for equal films.
        folder: Where its tables are.
    """

    row: ComparedRun
    films: str
    folder: Path


def read_run(name: str, folder: Path, *, config: Path | None = None) -> FinishedRun:
    """Read a finished run, and measure how fast its network is on this machine.

    Args:
        name: What it is called in the table.
        folder: The folder with its `metrics.json`.
        config: Its settings; by default `config.json` in the same folder.

    Returns:
        The run.

    Raises:
        ConfigurationError: If there is no such folder, or the run is not finished.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the folder of a run, found none named '{folder.name}'; check the path",
        )
    metrics = _read_json(folder / METRICS)
    settings = _read_json(config or folder / "config.json")
    if metrics is None:
        advice = (
            "go on with it by `plainfilm train … --output` of that folder"
            if settings is not None
            else "name one of the folders that `plainfilm train` made"
        )
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a finished run, '{folder.name}' has no {METRICS} that can be read; {advice}",
        )
    try:
        figures = {
            key: Figure(value["value"], value["low"], value["high"])
            for key, value in metrics["metrics"].items()
        }
        split, films = str(metrics["split"]), int(metrics["n"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the figures of a run in {METRICS} of '{folder.name}', got another content; "
            "evaluate it anew",
        ) from error
    parameters, speed = _measure_network(settings or {})
    row = ComparedRun(
        name, split, films, figures=figures, parameters=parameters, films_per_second=speed
    )
    return FinishedRun(row, f"{split} {films} {_films_of(folder)}", folder)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _films_of(folder: Path) -> str:
    for name in _TABLES_OF_FILMS:
        path = folder / name
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as table:
                names = sorted(str(row.get("filename")) for row in csv.DictReader(table))
            return hashlib.sha256("\n".join(names).encode()).hexdigest()
    return ""


def _measure_network(settings: Mapping[str, Any]) -> tuple[int | None, float | None]:
    """Build the network of a run with random weights; return its parameters and films a second."""
    from monai.bundle import ConfigParser

    if "network_def" not in settings:
        return None, None
    try:
        network = ConfigParser(dict(settings)).get_parsed_content("network_def")
    except Exception as error:  # noqa: BLE001 - a figure less, not a comparison less
        logger.warning("the network cannot be built to measure it: %s", type(error).__name__)
        return None, None
    parameters = sum(each.numel() for each in network.parameters())
    return parameters, _films_per_second(network, settings.get("image_size"))


def _films_per_second(network: nn.Module, size: object) -> float | None:
    sides = size if isinstance(size, list) else [size, size]
    convolutions = (
        each.shape[1] for each in network.parameters() if each.ndim == _WEIGHTS_OF_CONVOLUTION
    )
    channels = next(convolutions, None)
    if channels is None or not all(isinstance(side, int) for side in sides):
        return None
    images = torch.zeros(_BATCH, channels, *sides).to(memory_format=torch.channels_last)
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        network(images)
        began, batches = time.perf_counter(), 0
        while time.perf_counter() - began < _SECONDS:
            network(images)
            batches += 1
    return batches * _BATCH / (time.perf_counter() - began)
