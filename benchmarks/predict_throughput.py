"""Films a second of `predict` against a bundle written the way of the MONAI model zoo.

Both sides classify the same 48 generated, uncompressed 12-bit DX films of 2048 x 1792 pixels with
DenseNet121 at 224 pixels and random weights, each in a process of its own. Ours is the whole of
`predict_folder`: configuration, weights, reading, network, journal, tables and picture. The peer
only loads, resizes and runs the network in a SupervisedEvaluator; it writes nothing, and its
network is built outside the time; its workers and batch size are the best of those tried. Run it
from the repository root:

    python benchmarks/predict_throughput.py [--films 48] [--repeats 3]
"""

import argparse
import json
import logging
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

BUNDLE = Path(__file__).resolve().parents[1] / "bundles" / "pneumonia_classification"
PROCESSES = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
SIDES = {
    "ours": "predict, whole command",
    "ours, running": "predict, without start and tables",
    "peer": "model zoo, 2 workers, batch 8",
}


def main() -> None:
    """Measure all sides and print the table, or measure one in this process."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--films", type=int, default=48)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.folder, options.repeats)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_films(folder / "films", options.films)
        write_bundle(folder / "bundle")
        results = {side: in_own_process(side, folder, options.repeats) for side in SIDES}
    print(f"{options.films} films of 2048x1792, 12 bits, median of {options.repeats} runs")
    print(f"{'':36} {'films/s':>8} {'ratio':>6} {'core-ms a film':>15} {'peak MB':>8}")
    for side, words in SIDES.items():
        speed, cost, peak = (results[side][key] for key in ("speed", "core_ms", "peak_megabytes"))
        ratio = speed / results["peer"]["speed"]
        print(f"{words:36} {speed:8.1f} {ratio:6.1f} {cost:15.1f} {peak:8.0f}")


def write_films(folder: Path, count: int) -> None:
    """Write films with the noise and the gradients of real ones."""
    from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx

    folder.mkdir()
    generator = np.random.default_rng(0)
    ramp = np.linspace(0.1, 0.8, 2048, dtype=np.float32)[:, None] * np.ones(1792, np.float32)
    for number in range(count):
        film = ramp + generator.normal(0, 0.05, ramp.shape).astype(np.float32)
        header = FilmHeader(f"film {number}", "GENERATED", 1, inverted=False, sex="F", age_years=40)
        write_dx(folder / f"{number:03d}.dcm", np.clip(film, 0, 1), header=header)


def write_bundle(folder: Path) -> None:
    """Copy the shipped bundle and give it random weights."""
    from monai.networks.nets import DenseNet121

    from pipelines.evaluation.operating_point import OperatingPoint
    from pipelines.labels import PNEUMONIA_CLASSES
    from pipelines.networks.weights import save_weights

    shutil.copytree(BUNDLE, folder, ignore=shutil.ignore_patterns("models"))
    network = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1)
    save_weights(network, folder / "models" / "model.pt")
    point = OperatingPoint(0.5, 1.0, PNEUMONIA_CLASSES, "youden", "validation")
    point.save(folder / "models" / "operating_point.json")


def in_own_process(side: str, folder: Path, repeats: int) -> dict[str, float]:
    """Measure one side where nothing of another side is in memory."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(
        [*command, "--repeats", str(repeats)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(side: str, folder: Path, repeats: int) -> dict[str, float]:
    """Run one side once to warm up, then `repeats` times."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    films = sorted((folder / "films").iterdir())
    run = {
        "ours": lambda: ours(folder)["seconds"],
        "ours, running": lambda: len(films) / ours(folder)["films_per_second"],
        "peer": peer(films, workers=2, batch_size=8),
    }[side]
    run()
    before = core_seconds()
    seconds = statistics.median([run() for _ in range(repeats)])
    used = [resource.getrusage(who).ru_maxrss for who in PROCESSES]
    return {
        "speed": len(films) / seconds,
        "core_ms": (core_seconds() - before) / repeats / len(films) * 1000,
        "peak_megabytes": sum(used) / 1024,
    }


def core_seconds() -> float:
    """Seconds of cores used so far; other processes on the machine hardly change them."""
    used = [resource.getrusage(who) for who in PROCESSES]
    return sum(each.ru_utime + each.ru_stime for each in used)


def ours(folder: Path) -> dict[str, float]:
    """Predict the folder from the beginning, as the command line does."""
    from pipelines.inference.batch import predict_folder
    from pipelines.workflows.bundle import Bundle

    bundle, output = Bundle("bundle", folder / "bundle"), folder / "output"
    started = time.perf_counter()
    summary = predict_folder(
        bundle, folder / "films", output, overrides={"image_size": 224}, restart=True
    )
    return {**summary, "seconds": time.perf_counter() - started}


def peer(films: list[Path], *, workers: int, batch_size: int) -> Callable[[], float]:
    """Give a function that classifies all films the model zoo's way and returns its seconds."""
    import torch
    from monai import transforms
    from monai.data import DataLoader, Dataset
    from monai.engines import SupervisedEvaluator
    from monai.networks.nets import DenseNet121

    chain = transforms.Compose(
        [
            transforms.LoadImaged(keys="image", reader="PydicomReader"),
            transforms.EnsureChannelFirstd(keys="image"),
            transforms.ScaleIntensityd(keys="image"),
            transforms.Resized(keys="image", spatial_size=(224, 224)),
        ]
    )
    dataset = Dataset([{"image": str(film)} for film in films], chain)
    network = DenseNet121(spatial_dims=2, in_channels=1, out_channels=1)

    def run() -> float:
        started = time.perf_counter()
        loader = DataLoader(dataset, batch_size=batch_size, num_workers=workers)
        SupervisedEvaluator(
            device=torch.device("cpu"), val_data_loader=loader, network=network
        ).run()
        return time.perf_counter() - started

    return run


if __name__ == "__main__":
    main()
