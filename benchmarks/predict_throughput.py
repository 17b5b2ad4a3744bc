"""Films a second of `predict` against bundles written the way of the MONAI model zoo, and a bound.

All sides classify the same generated films of 2048 x 1792 pixels at 224 pixels with random weights,
each in a process of its own, and none shows a film with its mirror image. Ours is `predict_folder`:
configuration, weights, reading, network, journal, tables, thumbnails and report; "running" leaves
start and end out. The peer only loads, resizes and runs the network in a SupervisedEvaluator; it
writes nothing, its network is built outside the time, and its workers and batch size are the best
of those tried; it gets the first 48 films, ours all DICOM files. The bound is what the cores could
do if reading and network, each measured alone, were all there was. "As shipped" is the bundle's own
size with the mirror image, in PyTorch. Run it from the repository root:

    python benchmarks/predict_throughput.py [--films 384] [--engine auto] [--json FILE]
"""

import json
import logging
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import numpy as np

ROOT = Path(__file__).resolve().parents[1] / "bundles"
# Bundle, name of its network, and how many times the peer's speed is aimed at.
NETWORKS = {
    "pneumonia_classification": ("DenseNet121", 5.0),
    "pneumonia_efficientnet_b0": ("EfficientNet-B0", 8.0),
}
PEER_SETTINGS = ((0, 1), (2, 8))
OF_THE_BOUND = 0.9
FEW = 48
"""Films of the peer, and of each other format."""
SHAPE = (2048, 1792)
BYTES = 2 * SHAPE[0] * SHAPE[1]
SIZE = 224


def main() -> None:
    """Measure all sides and report, or measure one in this process."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--films", type=int, default=384, help="DICOM files of ours")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--side", nargs=4, help="internal: side, bundle, kind, folder")
    options = parser.parse_args()
    if options.side:
        side, bundle, kind, folder = options.side
        measured = SIDES[side](Path(folder), bundle, kind, options)
        print(json.dumps(measured))
        return
    # In memory where that can be, so that the disk that the films were just written to is left out.
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * BYTES * options.films
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as temporary:
        folder = Path(temporary)
        write_films(folder, options.films)
        figures = []
        for bundle in NETWORKS:
            write_bundle(folder / bundle, bundle)
            kinds = ("dicom", "png", "jpeg") if bundle == next(iter(NETWORKS)) else ("dicom",)
            found = [compared(bundle, kind, folder, options) for kind in kinds]
            figures += [each for kind in found for each in kind]
            figures.append(as_shipped(bundle, folder, options, peer=found[0][0].peer))
    measuring.report(figures, options.json)


def measured(side: str, bundle: str, kind: str, folder: Path, options: Any) -> dict[str, float]:  # noqa: PLR0917 - what a side is
    """Measure one side in a process of its own."""
    given = ["--repeats", str(options.repeats), "--engine", options.engine]
    return measuring.in_own_process(__file__, *given, "--side", side, bundle, kind, str(folder))


def compared(bundle: str, kind: str, folder: Path, options: Any) -> list[measuring.Figure]:
    """Measure a network on one kind of file against the peer, and against the bound."""
    mine, bound, theirs = (
        measured(side, bundle, kind, folder, options) for side in ("ours", "bound", "peer")
    )
    network, target = NETWORKS[bundle]
    name = f"{network}, {kind} 2048x1792"
    shared = {"unit": "films/s", "peer": theirs["speed"], "peer_name": "model zoo"}
    return [
        measuring.Figure(
            name=f"{name}, whole command",
            ours=mine["speed"],
            ratio=mine["speed"] / theirs["speed"],
            of="ours / peer",
            target=target,
            limit=bound["speed"],
            peak_megabytes=mine["peak_megabytes"],
            **shared,
        ),
        measuring.Figure(
            name=f"{name}, without start and end",
            ours=mine["running"],
            ratio=mine["running"] / theirs["speed"],
            of="ours / peer",
            target=target,
            limit=bound["speed"],
            **shared,
        ),
        measuring.Figure(
            name=f"{name}, without start and end, of the bound",
            ours=mine["running"],
            ratio=mine["running"] / bound["speed"],
            of="ours / limit",
            target=OF_THE_BOUND,
            limit=bound["speed"],
            peak_megabytes=mine["peak_megabytes"],
            **shared,
        ),
    ]


def as_shipped(bundle: str, folder: Path, options: Any, *, peer: float) -> measuring.Figure:
    """Measure a bundle with the settings that it comes with."""
    mine = measured("shipped", bundle, "dicom", folder, options)
    return measuring.Figure(
        name=f"{NETWORKS[bundle][0]}, dicom 2048x1792, as shipped, whole command",
        unit="films/s",
        ours=mine["speed"],
        ratio=mine["speed"] / peer,
        of="ours / peer",
        target=1.0,
        peer=peer,
        peer_name="model zoo",
        peak_megabytes=mine["peak_megabytes"],
    )


def write_films(folder: Path, count: int) -> None:
    """Write films with the noise and the gradients of real ones, in three formats."""
    import cv2

    from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx

    for kind in ("dicom", "png", "jpeg"):
        (folder / "films" / kind).mkdir(parents=True)
    noise = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    ramp = np.linspace(0.1, 0.8, SHAPE[0], dtype=np.float32)[:, None]
    for number in range(count):
        film = np.clip(ramp + 0.02 * np.roll(noise, 7 * number, axis=1), 0, 1)
        header = FilmHeader(f"film {number}", "GENERATED", 1, inverted=False, sex="F", age_years=40)
        write_dx(folder / "films" / "dicom" / f"{number:03d}.dcm", film, header=header)
        if number >= FEW:
            continue
        grey = (film * 255).astype(np.uint8)
        for kind, suffix in (("png", "png"), ("jpeg", "jpg")):
            cv2.imwrite(str(folder / "films" / kind / f"{number:03d}.{suffix}"), grey)


def write_bundle(folder: Path, bundle: str) -> None:
    """Copy a shipped bundle and give it random weights."""
    from pipelines.evaluation.operating_point import OperatingPoint
    from pipelines.labels import PNEUMONIA_CLASSES
    from pipelines.networks.weights import save_weights

    shutil.copytree(ROOT / bundle, folder, ignore=shutil.ignore_patterns("models", "manifest.json"))
    save_weights(network_of(bundle), folder / "models" / "model.pt")
    point = OperatingPoint(0.5, 1.0, PNEUMONIA_CLASSES, "youden", "validation")
    point.save(folder / "models" / "operating_point.json")


def network_of(bundle: str) -> Any:
    """Build the network of a shipped bundle."""
    from pipelines.networks.classifiers import build_classifier

    content = json.loads((ROOT / bundle / "configs" / "inference.json").read_text("utf-8"))
    given = {key: each for key, each in content["network_def"].items() if key != "_target_"}
    return build_classifier(**given)


def overrides(options: Any) -> dict[str, object]:
    """Return what both sides share: size, and each film shown once."""
    return {"image_size": SIZE, "inferer::flips": [], "engine_name": options.engine}


def shipped(folder: Path, bundle: str, kind: str, options: Any) -> dict[str, float]:
    """Predict the folder with nothing but what the bundle says."""
    return ours(folder, bundle, kind, options, given={})


def ours(
    folder: Path,
    bundle: str,
    kind: str,
    options: Any,
    *,
    given: dict[str, object] | None = None,
) -> dict[str, float]:
    """Predict the folder from the beginning, as the command line does."""
    from pipelines.inference.batch import predict_folder
    from pipelines.workflows.bundle import Bundle

    quiet()
    found = Bundle(bundle, folder / bundle)
    films = len(list((folder / "films" / kind).iterdir()))
    speeds, running = [], []
    for _ in range(options.repeats + 1):
        began = time.perf_counter()
        summary = predict_folder(
            found,
            folder / "films" / kind,
            folder / f"output_{bundle}_{kind}",
            overrides=overrides(options) if given is None else given,
            restart=True,
        )
        speeds.append(films / (time.perf_counter() - began))
        running.append(summary["films_per_second"])
    return {
        "speed": statistics.median(speeds[1:]),
        "running": statistics.median(running[1:]),
        "peak_megabytes": measuring.peak_megabytes(),
    }


def bound(folder: Path, bundle: str, kind: str, options: Any) -> dict[str, float]:
    """Measure reading and network alone, in seconds of a core."""
    import torch

    from pipelines.inference.configuration import InferenceConfiguration
    from pipelines.networks.device import usable_cores
    from pipelines.networks.overlap import one_thread_an_operation, overlapped
    from pipelines.workflows.bundle import Bundle

    quiet()
    given = {
        "dataset_dir": str(folder / "films" / kind),
        "output_dir": str(folder / f"bound_{bundle}_{kind}"),
    }
    configuration = InferenceConfiguration(
        Bundle(bundle, folder / bundle), given | overrides(options)
    )
    evaluator = configuration.build("evaluator")
    engine, dataset = evaluator.engine, evaluator.dataset
    with one_thread_an_operation(enabled=engine.at_once > 1):
        items = dataset.collection.items[:FEW]
        images = [dataset.load(item).image for item in items]
        before = measuring.core_seconds()
        for item in items:
            dataset.load(item)
        reading = (measuring.core_seconds() - before) / len(items)
        engine.begin(lambda: images[0])
        size = engine.batch_size
        batches = [torch.stack(images[at : at + size]) for at in range(0, len(images), size)]
        list(overlapped(engine, batches, at_once=engine.at_once))
        before = measuring.core_seconds()
        list(overlapped(engine, batches * 2, at_once=engine.at_once))
        network = (measuring.core_seconds() - before) / len(items) / 2
    return {"speed": usable_cores() / (reading + network), "reading": reading, "network": network}


def peer(folder: Path, bundle: str, kind: str, options: Any) -> dict[str, float]:
    """Classify the folder the model zoo's way, by the best of its settings."""
    quiet()
    films = sorted((folder / "films" / kind).iterdir())[:FEW]
    reader = "PydicomReader" if kind == "dicom" else "PILReader"
    best = 0.0
    for workers, batch_size in PEER_SETTINGS:
        run = zoo(films, network_of(bundle), reader=reader, loading=(workers, batch_size))
        seconds = measuring.median_seconds(run, repeats=options.repeats)
        best = max(best, len(films) / seconds)
    return {"speed": best}


def zoo(
    films: list[Path], network: Any, *, reader: str, loading: tuple[int, int]
) -> Callable[[], object]:
    """Give a function that runs a SupervisedEvaluator over the films."""
    import torch
    from monai import transforms
    from monai.data import DataLoader, Dataset
    from monai.engines import SupervisedEvaluator

    chain = transforms.Compose(
        [
            transforms.LoadImaged(keys="image", reader=reader),
            transforms.EnsureChannelFirstd(keys="image"),
            transforms.ScaleIntensityd(keys="image"),
            transforms.Resized(keys="image", spatial_size=(SIZE, SIZE)),
        ]
    )
    dataset = Dataset([{"image": str(film)} for film in films], chain)
    workers, batch_size = loading

    def run() -> None:
        loader = DataLoader(dataset, batch_size=batch_size, num_workers=workers)
        SupervisedEvaluator(
            device=torch.device("cpu"), val_data_loader=loader, network=network
        ).run()

    return run


def quiet() -> None:
    """Keep warnings and logs out of what is printed."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


SIDES: dict[str, Callable[[Path, str, str, Any], dict[str, float]]] = {
    "ours": ours,
    "shipped": shipped,
    "bound": bound,
    "peer": peer,
}

if __name__ == "__main__":
    main()
