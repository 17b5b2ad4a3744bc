"""An experiment file: networks times recipes times seeds of one bundle, as training runs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names
from pipelines.workflows.bundle import Bundle, find_bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.merging import look_up
from pipelines.workflows.reading import read_document
from pipelines.workflows.required import Kind

BASE = "base"
"""Stands for the bundle as it is, among networks and among recipes."""

_KEYS = ("bundle", "data", "networks", "recipes", "seeds", "settings", "split")
_SPLITS = ("val", "test")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of an experiment.

    Attributes:
        name: What it is called in the table.
        folder: Name of its run folder.
        overlays: Names of the configurations that are merged after `train.json`.
        overrides: Values by key, set last.
    """

    name: str
    folder: str
    overlays: tuple[str, ...]
    overrides: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment:
    """What an experiment file asks for.

    Attributes:
        name: Name of the file, without suffix.
        bundle: What is trained.
        data: Folder or datalist file of the films.
        split: Which films the figures are of: `val`, or `test` with each run's own weights.
        cells: The runs, in the order of the table.
    """

    name: str
    bundle: Bundle
    data: Path
    split: str
    cells: tuple[Cell, ...]


def read_experiment(path: Path, *, data: Path | None = None) -> Experiment:
    """Read an experiment file and check every run that it asks for.

        bundle: pneumonia_classification
        data: ../data/chest_xray            # from the folder of this file
        networks: [base, resnet50]          # overlays, or names that network_def takes
        recipes: [basic, balanced]          # overlays
        seeds: [0, 1]
        settings: {batch_size: 16, train.trainer.max_epochs: 12}
        split: test

    All but `bundle` and `data` may be left out. Every seed trains on the same split, that of the
    first one, so that all figures are of the same films.

    Args:
        path: The YAML file.
        data: Takes the place of `data` in the file.

    Returns:
        The experiment.

    Raises:
        ConfigurationError: If the file, or a run that it asks for, is wrong.
    """
    content = _content(path)
    bundle = find_bundle(_text(content, "bundle"))
    if data is None:
        data = path.parent / _text(content, "data")
    if not data.exists():
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected data to be an existing folder or file, got none named '{data.name}'; "
            "correct the experiment, or give --data",
        )
    split = content.get("split", "val")
    if split not in _SPLITS:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected split val or test, got {split!r}; correct the experiment",
        )
    cells = _cells(content, bundle)
    for cell in cells:
        problems = check_bundle(
            bundle, base=Kind.TRAIN, overlays=cell.overlays, overrides=cell.overrides
        )
        if problems:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"{cell.name}: {problems[0].within(bundle.name)}"
            )
    return Experiment(path.stem, bundle, data, split=split, cells=cells)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected an experiment in YAML, {path.name} cannot be read as that; correct it",
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected an experiment with the keys {', '.join(_KEYS)}, got none in {path.name}",
        )
    for key in content:
        if key not in _KEYS:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"no key '{key}' of an experiment{right_names(str(key), _KEYS)}",
            )
    return content


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str):
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected {key} to be a text, got {value!r}; correct the file"
        )
    return value


def _list(content: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    """Return a list without repetition whose items are of one kind; one item stands for a list.

    Raises:
        ConfigurationError: If it is something else.
    """
    given = content.get(key, [BASE])
    items = given if isinstance(given, list) else [given]
    right = all(isinstance(item, kind) and not isinstance(item, bool) for item in items)
    if not items or not right or len(set(items)) < len(items):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected {key} to be a list of different {'numbers' if kind is int else 'names'}, "
            f"got {given!r}; correct the file",
        )
    return items


def _cells(content: Mapping[str, Any], bundle: Bundle) -> tuple[Cell, ...]:
    settings = content.get("settings") or {}
    if not isinstance(settings, dict):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected settings to be values by key, got {settings!r}; correct the file",
        )
    common = {str(key).replace("#", "::").replace(".", "::"): settings[key] for key in settings}
    seeds = _list(content, "seeds", int) if "seeds" in content else []
    base = read_document(bundle.train, bundle.train.name).content
    networks, recipes = (_list(content, key, str) for key in ("networks", "recipes"))
    cells = []
    for network, recipe, seed in product(networks, recipes, seeds or [None]):
        overlays, overrides = _network(network, bundle, base)
        if recipe != BASE:
            overlays = (*overlays, bundle.overlay(recipe).stem)
        overrides |= common | _seeded(seed, seeds, base)
        shown = [part for part in (network, recipe) if part != BASE] or [BASE]
        if len(seeds) > 1:
            shown.append(f"seed{seed}")
        cells.append(Cell(" ".join(shown), _folder(shown), overlays, overrides))
    return tuple(cells)


def _network(
    name: str, bundle: Bundle, base: Mapping[str, object]
) -> tuple[tuple[str, ...], dict[str, object]]:
    """Return the overlays and values that give a network: of its own, or by the name in it."""
    if name == BASE:
        return (), {}
    known = {path.stem for path in bundle.overlays()}
    if name not in known and look_up(base, "network_def::name") is not None:
        return (), {"network_def::name": name}
    return (bundle.overlay(name).stem,), {}


def _seeded(
    seed: int | None, seeds: Sequence[int], base: Mapping[str, object]
) -> dict[str, object]:
    if seed is None:
        return {}
    pinned = {"data::seed": seeds[0]} if look_up(base, "data::seed") is not None else {}
    return {"seed": seed, **pinned}


def _folder(parts: Sequence[str]) -> str:
    return "-".join(re.sub(r"[^A-Za-z0-9_.]+", "_", part) for part in parts)
