"""Checkpoints as files: the last one, the one before it, and the best weights.

PyTorch does not look at the checksums that its files hold: of a file in which a bit has changed it
loads other weights. So they are looked at here, and a damaged checkpoint gives way to the one
before it.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipelines.files import link, whole_file
from pipelines.networks.weights import is_damaged

LAST = "last.pt"
BEFORE = "before.pt"
BEST = "best.pt"

logger = logging.getLogger(__name__)


def write_last(directory: Path, state: Mapping[str, Any]) -> None:
    """Write `last.pt`; what stood there becomes `before.pt`, without being written anew.

    Args:
        directory: Of the checkpoints.
        state: Tensors and numbers.
    """
    last = directory / LAST
    with whole_file(last) as temporary:
        _save(temporary, state)
        if last.is_file():
            link(last, directory / BEFORE)


def read_last(directory: Path, *, device: torch.device | str) -> dict[str, Any] | None:
    """Read `last.pt`, or `before.pt` where that is damaged, and say so.

    Args:
        directory: Of the checkpoints.
        device: Where the tensors shall be.

    Returns:
        The state; None where there is none, or none that is whole.
    """
    there = [name for name in (LAST, BEFORE) if (directory / name).is_file()]
    for name in there:
        state = _read(directory / name, device)
        if state is not None:
            return state
        logger.warning("The checkpoint %s is damaged and is not used", name)
    if there:
        logger.warning("No checkpoint is whole: training begins anew, with the same result")
    return None


def write_best(directory: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write `best.pt`, unless it holds these very weights.

    Args:
        directory: Of the checkpoints.
        weights: A state dict.
    """
    path = directory / BEST
    found = _read(path, "cpu") if path.is_file() else None
    if (
        found is not None
        and found.keys() == weights.keys()
        and all(torch.equal(found[name], value) for name, value in weights.items())
    ):
        return
    with whole_file(path) as temporary:
        _save(temporary, weights)


def _read(path: Path, device: torch.device | str) -> dict[str, Any] | None:
    if is_damaged(path):
        return None
    # weights_only: a checkpoint may come from elsewhere and must not run code.
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


def _save(path: Path, state: Mapping[str, Any]) -> None:
    # Through an open file: the error of a full disk is then one of the system and not of PyTorch.
    with path.open("wb") as out:
        torch.save(dict(state), out)
