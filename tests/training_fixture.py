"""A small training run on made-up films, for the tests of its parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.handlers import ValidationHandler
from monai.transforms import Compose, RandGaussianNoised
from PIL import Image
from torch import nn

from pipelines.training.averaging import build_average
from pipelines.training.checkpoints import Checkpoints, EarlyStopping
from pipelines.training.dataset import RadiographDataset
from pipelines.training.evaluator import RadiographEvaluator, build_evaluator
from pipelines.training.loading import FilmLoader
from pipelines.training.losses import BinaryLoss
from pipelines.training.monitoring import EpochLog, TensorBoard
from pipelines.training.sampling import EpochSampler
from pipelines.training.schedule import Schedule, WarmupCosine
from pipelines.training.trainer import RadiographTrainer, build_trainer
from pipelines.transforms.geometry import ResizeSquared
from pipelines.transforms.intensity import Standardised
from pipelines.transforms.reading import LoadRadiographd

SIZE = 16


def write_films(folder: Path, *, count: int = 24, seed: int = 0) -> list[dict[str, Any]]:
    """Write small PNG films, of which those of class 1 have a bright upper half."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for index in range(count):
        label = index % 2
        pixels = random.normal(100, 25, (32, 28))
        pixels[: 16 if label else 0] += 40
        path = folder / f"film{index:03d}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        items.append({"image": str(path), "label": label, "group": f"p{index // 2}"})
    return items


def chain(*, noise: bool) -> Compose:
    """Read, resize, maybe add noise, standardise."""
    random = [RandGaussianNoised(keys="image", prob=1.0, std=0.05)] if noise else []
    return Compose(
        [
            LoadRadiographd(keys="image"),
            ResizeSquared(keys="image", size=SIZE),
            *random,
            Standardised(keys="image"),
        ]
    )


def small_network() -> nn.Module:
    """A network of a few hundred weights with batch norm and dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(8 * 16, 1),
    )


def small_run(
    items: list[dict[str, Any]],
    output_dir: Path,
    *,
    max_epochs: int = 3,
    num_workers: int = 0,
    learning_rate: float = 0.01,
    patience: int = 5,
    interval: int = 1,
    schedule: Callable[[torch.optim.Optimizer], Schedule] = WarmupCosine,
) -> tuple[RadiographTrainer, RadiographEvaluator]:
    """Build the trainer and evaluator of a run as a config does, on the CPU."""
    torch.manual_seed(0)
    network = small_network()
    average = build_average(network, decay=0.5)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    validation = RadiographDataset(items, chain(noise=False))
    evaluator = build_evaluator(
        device="cpu", network=average.module, val_data_loader=FilmLoader(validation, batch_size=8)
    )
    training = RadiographDataset(items, chain(noise=True))
    training.read_all()
    loader = FilmLoader(
        training,
        sampler=EpochSampler(items, seed=3),
        batch_size=8,
        num_workers=num_workers,
    )
    trainer = build_trainer(
        max_epochs,
        device="cpu",
        network=network,
        optimizer=optimizer,
        loss_function=BinaryLoss(),
        train_data_loader=loader,
        lr_scheduler=schedule(optimizer),
        average=average,
        train_handlers=[
            ValidationHandler(interval=interval, validator=evaluator),
            EpochLog(output_dir, evaluator=evaluator),
            TensorBoard(output_dir, evaluator=evaluator),
            Checkpoints(output_dir / "checkpoints", evaluator=evaluator),
            EarlyStopping(evaluator=evaluator, patience=patience),
        ],
    )
    return trainer, evaluator
