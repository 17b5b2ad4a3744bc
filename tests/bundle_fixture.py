"""A small bundle with random weights, and small films, for tests that predict."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import torch
from PIL import Image
from plot_fixture import blank_plots

from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.labels import PNEUMONIA_CLASSES
from pipelines.networks.weights import save_weights
from pipelines.workflows.bundle import Bundle

SHIPPED = Path(__file__).resolve().parents[1] / "bundles" / "pneumonia_classification"
TINY = {
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 1,
    "block_config": [1, 1],
    "init_features": 8,
    "growth_rate": 4,
}
TINY_NETWORK = {"_target_": "monai.networks.nets.DenseNet", **TINY}


def write_tiny_bundle(root: Path, *, seed: int = 0, bias: float = 0.0) -> Bundle:
    """Write a bundle like the shipped one, with a network of a few layers and 32-pixel films."""
    configuration = json.loads((SHIPPED / "configs" / "inference.json").read_text("utf-8"))
    configuration["network_def"] = TINY_NETWORK
    configuration |= {"image_size": 32, "device": "$torch.device('cpu')"}
    configuration["engine"]["batch_size"] = 4
    (root / "configs").mkdir(parents=True)
    (root / "configs" / "inference.json").write_text(json.dumps(configuration), "utf-8")
    metadata = {"name": root.name, "version": "0.0.1", "network_data_format": {}}
    (root / "configs" / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    write_weights(root, seed=seed, bias=bias)
    OperatingPoint(0.5, 1.0, PNEUMONIA_CLASSES, "youden", "validation").save(
        root / "models" / "operating_point.json"
    )
    return Bundle(root.name, root)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let small networks run without threads that wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def quick_run() -> Iterator[None]:
    """Run on one thread and leave plots blank.

    For tests that hold figures, files and how a run goes on; others look at the pictures.
    """
    with one_torch_thread(), blank_plots():
        yield


def write_weights(root: Path, *, seed: int = 0, bias: float = 0.0) -> None:
    """Write random weights that spread the answers over both classes."""
    from monai.networks.nets import DenseNet

    torch.manual_seed(seed)
    network = DenseNet(**TINY)
    with torch.no_grad():
        network.class_layers.out.weight.mul_(20)
        network.class_layers.out.bias.fill_(bias)
    save_weights(network, root / "models" / "model.pt")


def write_png(path: Path, *, seed: int = 0, size: tuple[int, int] = (60, 50)) -> Path:
    """Write a noisy ramp as an 8-bit PNG of (height, width)."""
    noise = np.random.default_rng(seed).integers(0, 40 + 10 * (seed % 10), size)
    ramp = np.linspace(0, 120, size[1])[None, :]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((ramp + noise).astype(np.uint8)).save(path)
    return path


def write_dicom(path: Path, *, seed: int = 0, name: str = "", patient: str = "") -> Path:
    """Write a native 12-bit DX film for presentation, of a made-up or a given patient."""
    film = np.random.default_rng(seed).random((60, 50), dtype=np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = FilmHeader(
        key=f"test/{path.name}/{seed}",
        patient_id=patient,
        number=1,
        inverted=bool(seed % 2),
        sex="F",
        age_years=40,
    )
    write_dx(path, film, header=header)
    if name:
        dataset = pydicom.dcmread(path)
        dataset.PatientName = name
        dataset.save_as(path)
    return path
