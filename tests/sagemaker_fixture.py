"""A folder tree that looks like that of a SageMaker container."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bundle_fixture import TINY_NETWORK

SMALL = {
    "bundle": "pneumonia_classification",
    "network_def": TINY_NETWORK,
    "image_size": 32,
    "batch_size": 4,
    "num_workers": 0,
    "device": "cpu",
    "train.trainer.max_epochs": 6,
}
"""Hyperparameters of a run that takes a second."""


def write_container(
    base: Path,
    *,
    data: Path | None = None,
    hyperparameters: Mapping[str, object] | None = None,
    hosts: Sequence[str] = ("algo-1",),
    current: str = "algo-1",
    interface: str = "eth0",
) -> dict[str, str]:
    """Lay out what SageMaker mounts, every hyperparameter a string, and return the environment.

    Args:
        base: In place of /opt/ml.
        data: Holds `train`, `val` and `test`, each of which becomes a channel.
        hyperparameters: Values by name; those of `SMALL` by default.
        hosts: Machines of the job.
        current: This one.
        interface: Network interface between them.
    """
    for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (base / name).mkdir(parents=True, exist_ok=True)
    given = SMALL if hyperparameters is None else hyperparameters
    texts = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()
    }
    config = base / "input" / "config"
    (config / "hyperparameters.json").write_text(json.dumps(texts), "utf-8")
    resources = {
        "current_host": current,
        "hosts": [*hosts],
        "network_interface_name": interface,
    }
    (config / "resourceconfig.json").write_text(json.dumps(resources), "utf-8")
    for channel in sorted(data.iterdir()) if data is not None else ():
        if channel.is_dir():
            (base / "input" / "data" / channel.name).symlink_to(channel)
    return {"SAGEMAKER_BASE_DIR": str(base)}
