"""Training films a second against a bundle written the way of the model zoo's template.

Both sides train the same network on the same films (generated ones as JPEG, or those of `--data`)
at the same size and batch size, validate after every epoch on the same films and keep checkpoints;
each in a process of its own. Ours is `plainfilm train pneumonia_classification` with its own
augmentation, averaged weights, TensorBoard and tables; an epoch is what `log.csv` says of it, the
validation with mirror images included. The peer is the classification template: its transforms,
Adam at 1e-3, float32; and what the template leaves out: prepared films in memory (`CacheDataset`).
Its loader and number of processes are the best of those tried. The first epoch counts with the
reading of all films before it. Run it from the repository root:

    python benchmarks/training_throughput.py [--network efficientnet_b0] [--device cpu] [--data DIR]
"""

import argparse
import csv
import json
import logging
import random
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import measuring
import numpy as np

CLASSES = ("NORMAL", "PNEUMONIA")
NETWORKS = {"densenet121": "DenseNet121", "efficientnet_b0": "EfficientNet-B0"}
LOADERS = (("ThreadDataLoader", 4), ("ThreadDataLoader", 0), ("DataLoader", 2))
TRIED_BATCHES = 3
TIMES_ON = {"cpu": 1.8, "cuda": 3.0}
SAME_AUROC = -0.01
Row = dict[str, float]


def main() -> None:
    """Measure both sides and print the table, or measure one in this process."""
    options = _options()
    if options.side:
        print(json.dumps({"ours": ours, "peer": peer}[options.side](options)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        started = time.perf_counter()
        folder = Path(temporary) / "films"
        if options.data is None:
            write_films(folder, options.films)
        else:
            take_films(options.data, folder, options.films)
        say(f"{options.films} films are there after {time.perf_counter() - started:.0f} s")
        given = ("films", "size", "batch", "epochs", "network", "device")
        same = [f"--{name}={getattr(options, name)}" for name in given]
        results = {}
        for side in ("ours", "peer"):
            started = time.perf_counter()
            results[side] = measuring.in_own_process(
                __file__, "--side", side, "--data", str(folder), *same
            )
            took = time.perf_counter() - started
            say(f"{side}: the whole process {took:.0f} s")
    for side, result in results.items():
        told = ", ".join(f"{result[f'auroc {e + 1}']:.3f}" for e in range(options.epochs))
        say(f"{side}: validation AUROC by epoch {told}")
    measuring.report(figures(results["ours"], results["peer"], options), options.json)


def say(line: str) -> None:
    """Tell how far the benchmark is."""
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = measuring.arguments(__doc__)
    parser.add_argument("--films", type=int, default=480, help="in all; default: %(default)s")
    parser.add_argument("--size", type=int, default=128, help="side; default: %(default)s")
    parser.add_argument("--batch", type=int, default=16, help="batch size; default: %(default)s")
    parser.add_argument("--epochs", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--network", choices=NETWORKS, default="densenet121")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--data", type=Path, metavar="DIR", help="<split>/<class>/ of real films")
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    return parser.parse_args()


def figures(ours: Row, peer: Row, options: argparse.Namespace) -> list[measuring.Figure]:
    """Compare the two sides."""
    named = f"{NETWORKS[options.network]}, {options.size} px"
    same = partial(measuring.Figure, peak_megabytes=ours["peak"])
    level = min(best(ours, options.epochs), best(peer, options.epochs))
    spent = [seconds_to(side, level, options.epochs) for side in (ours, peer)]
    zoo = "model-zoo template"
    target = TIMES_ON.get(options.device.partition(":")[0], TIMES_ON["cpu"])
    return [
        same(
            name=f"training, {named}, epochs from the second on",
            unit="films/s",
            ours=ours["speed"],
            peer=peer["speed"],
            peer_name=zoo,
            ratio=ours["speed"] / peer["speed"],
            of="ours / peer",
            target=target,
        ),
        same(
            name=f"training, {named}, to validation AUROC {level:.3f}",
            unit="s",
            ours=spent[0],
            peer=spent[1],
            peer_name=zoo,
            ratio=spent[1] / spent[0],
            of="peer / ours",
            target=1.0,
        ),
        same(
            name=f"training, {named}, best validation AUROC of {options.epochs} epochs",
            unit="",
            ours=best(ours, options.epochs),
            peer=best(peer, options.epochs),
            peer_name=zoo,
            ratio=best(ours, options.epochs) - best(peer, options.epochs),
            of="ours - peer",
            target=SAME_AUROC,
        ),
        same(
            name=f"training, {named}, waiting for films from the second epoch on",
            unit="%",
            ours=ours["waited"],
            ratio=ours["waited"] / 100,
            of="waited / epoch",
            target=0.05,
            more_is_better=False,
        ),
        same(
            name=f"training, {named}, first epoch with reading of JPEG",
            unit="s",
            ours=ours["first"],
            limit=ours["later"],
            ratio=ours["first"] / ours["later"],
            of="ours / later epoch",
            target=1.5,
            more_is_better=False,
        ),
    ]


def best(side: Row, epochs: int) -> float:
    """Highest validation AUROC of a side."""
    return max(side[f"auroc {epoch + 1}"] for epoch in range(epochs))


def seconds_to(side: Row, level: float, epochs: int) -> float:
    """Seconds, reading included, to the first epoch of a side that reaches an AUROC."""
    reached = (e + 1 for e in range(epochs) if side[f"auroc {e + 1}"] >= level)
    return side[f"seconds {next(reached)}"]


def summary(aurocs: list[float], seconds: list[float], *, reading: float, films: int) -> Row:
    """Put what a side measured into numbers by name."""
    later = statistics.median(seconds[1:])
    spent = np.cumsum([reading + seconds[0], *seconds[1:]])
    told = {f"auroc {epoch}": auroc for epoch, auroc in enumerate(aurocs, start=1)}
    told |= {f"seconds {epoch}": float(each) for epoch, each in enumerate(spent, start=1)}
    return told | {
        "speed": films / later,
        "first": reading + seconds[0],
        "later": later,
        "peak": measuring.peak_megabytes(),
    }


def write_films(folder: Path, count: int) -> None:
    """Draw chest films of training and validation, on all cores."""
    from pipelines.datasets.phantoms.chest_samples import plan_chest_samples

    planned = [film for film in plan_chest_samples(count * 4 // 3) if film.split != "test"]
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(write_film, folder), planned, chunksize=16))


def write_film(folder: Path, planned: Any) -> None:
    """Draw one film as JPEG."""
    from pipelines.datasets.phantoms.chest import chest_film

    path = (folder / planned.name).with_suffix(".jpeg")
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = chest_film(
        np.random.default_rng((0, planned.patient, planned.number)), opacity=bool(planned.label)
    )
    cv2.imwrite(str(path), np.rint(pixels * 255).astype(np.uint8))


def take_films(data: Path, folder: Path, count: int) -> None:
    """Take films at random from the training folder of a data set, classes as they are there."""
    films = sorted(path for name in CLASSES for path in (data / "train" / name).iterdir())
    for film in random.Random(0).sample(films, min(count, len(films))):
        target = folder / "train" / film.parent.name / film.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(film, target)


def ours(options: argparse.Namespace) -> Row:
    """Train the bundle and read what its log says."""
    from pipelines.training.dataset import RadiographDataset
    from pipelines.workflows.bundle import find_bundle
    from pipelines.workflows.run import train

    reading: list[float] = []
    sizes: list[int] = []
    read_all = RadiographDataset.read_all

    def timed(self: RadiographDataset) -> None:
        started = time.perf_counter()
        read_all(self)
        reading.append(time.perf_counter() - started)
        sizes.append(len(self))

    RadiographDataset.read_all = timed
    with tempfile.TemporaryDirectory() as temporary:
        run = train(
            find_bundle("pneumonia_classification"),
            data=options.data,
            output_dir=Path(temporary) / "run",
            overlays=[] if options.network == "densenet121" else [options.network],
            overrides={
                "image_size": options.size,
                "batch_size": options.batch,
                "device": options.device,
                "data::val_fraction": 0.2,
                "train::trainer::max_epochs": options.epochs,
                "train::handlers::5::patience": options.epochs,
                "outcome::report": False,
            },
        )
        with (run / "log.csv").open(newline="", encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
    aurocs, seconds, waits = (
        [float(row[name]) for row in rows] for name in ("val_auroc", "seconds", "waited_percent")
    )
    told = summary(aurocs, seconds, reading=sum(reading), films=max(sizes))
    return told | {"waited": statistics.median(waits[1:])}


def peer(options: argparse.Namespace) -> Row:
    """Train as the template does, with the quickest of its loaders."""
    from ignite.engine import Events
    from monai import transforms
    from monai.data import CacheDataset, PILReader
    from monai.utils import set_determinism

    from pipelines.datasets.opened import OpenedDataset

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    set_determinism(seed=0)
    data = OpenedDataset(options.data, classes=CLASSES, val_fraction=0.2)
    reading = [
        transforms.LoadImaged("image", reader=PILReader(converter=lambda film: film.convert("L"))),
        transforms.EnsureChannelFirstd("image"),
        transforms.Resized("image", spatial_size=(options.size, options.size)),
    ]
    changing = [
        transforms.RandAxisFlipd("image", prob=0.5),
        transforms.RandRotate90d("image", prob=0.5),
        transforms.RandGaussianNoised("image", prob=0.5, std=0.05),
    ]
    scaling = [transforms.ScaleIntensityd("image")]
    started = time.perf_counter()
    train_films, val_films = (
        CacheDataset(data.split(split), transforms.Compose(chain), num_workers=2, progress=False)
        for split, chain in {
            "train": [*reading, *changing, *scaling],
            "val": [*reading, *scaling],
        }.items()
    )
    read = time.perf_counter() - started
    make = partial(template, options, train_films, val_films)
    trainer, evaluator = make(quickest(make, options))
    aurocs: list[float] = []
    marks = [0.0]
    trainer.add_event_handler(Events.STARTED, lambda: marks.append(time.perf_counter()))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: marks.append(time.perf_counter()))
    trainer.add_event_handler(
        Events.EPOCH_COMPLETED, lambda: say(f"peer: epoch {len(aurocs)} of {options.epochs}")
    )
    evaluator.add_event_handler(
        Events.COMPLETED, lambda: aurocs.append(float(evaluator.state.metrics["val_auroc"]))
    )
    trainer.run()
    seconds = np.diff(marks[1:]).tolist()
    return summary(aurocs, seconds, reading=read, films=len(train_films))


def quickest(make: Callable[..., Any], options: argparse.Namespace) -> tuple[str, int]:
    """Find the loader that makes the first batches of an epoch train soonest."""
    taken = {}
    for loader in LOADERS:
        trainer, _ = make(loader, batches=TRIED_BATCHES)
        trainer.run()
        started = time.perf_counter()
        trainer.state.max_epochs += 1
        trainer.run()
        taken[loader] = time.perf_counter() - started
    told = ", ".join(f"{name} {workers}: {each:.1f} s" for (name, workers), each in taken.items())
    say(f"peer: {TRIED_BATCHES} batches by each loader: {told}")
    return min(taken, key=taken.__getitem__)


def template(
    options: argparse.Namespace,
    train_films: Any,
    val_films: Any,
    loader: tuple[str, int],
    *,
    batches: int | None = None,
) -> tuple[Any, Any]:
    """Build trainer and evaluator as the template has them, or a trainer of some batches alone."""
    import torch
    from monai import data, handlers
    from monai.engines import SupervisedEvaluator, SupervisedTrainer
    from monai.networks.nets import DenseNet121, EfficientNetBN

    device = torch.device(options.device)
    size = {"spatial_dims": 2, "in_channels": 1}
    network = (
        DenseNet121(**size, out_channels=len(CLASSES))
        if options.network == "densenet121"
        else EfficientNetBN("efficientnet-b0", **size, num_classes=len(CLASSES), pretrained=False)
    ).to(device)
    name, workers = loader
    load = partial(getattr(data, name), batch_size=options.batch, num_workers=workers)
    evaluator = SupervisedEvaluator(
        device=device,
        val_data_loader=data.DataLoader(val_films, batch_size=options.batch, num_workers=workers),
        network=network,
        postprocessing=None,
        key_val_metric={"val_auroc": handlers.ROCAUC(output_transform=probabilities)},
        decollate=False,
    )
    folder = str(Path(options.data).parent / "peer")
    saver = handlers.CheckpointSaver(folder, {"model": network}, save_interval=1, save_final=True)
    trainer = SupervisedTrainer(
        device=device,
        max_epochs=options.epochs if batches is None else 1,
        epoch_length=batches,
        train_data_loader=load(train_films, shuffle=True),
        network=network,
        loss_function=torch.nn.CrossEntropyLoss(reduction="sum"),
        optimizer=torch.optim.Adam(network.parameters(), lr=1e-3),
        train_handlers=(
            [handlers.ValidationHandler(1, evaluator), saver] if batches is None else []
        ),
        decollate=False,
    )
    return trainer, evaluator


def probabilities(output: dict[str, Any]) -> tuple[Any, Any]:
    """Give the probability of the second class and the label of each film, as `ROCAUC` wants."""
    return output["pred"].softmax(dim=1)[:, 1:], output["label"].reshape(-1, 1)


if __name__ == "__main__":
    main()
