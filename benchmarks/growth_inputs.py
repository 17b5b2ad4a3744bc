"""Time and memory of `predict` for 10,000, 100,000 and 1,000,000 inputs, of one process and of Ray.

Tiny films (hard links to a hundred files, in folders of a thousand) and a network of one layer, so
that what is measured is what grows with the number of inputs: listing, journal, records, tables.
The report, which holds pictures, is left out, as for so many films it should be. A million take
half an hour; it is run by hand. From the repository root:

    python benchmarks/growth_inputs.py [--counts 10000 100000] [--executor ray] [--json FILE]
"""

import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measuring
import numpy as np
from growth import flat

COUNTS = (10_000, 100_000)
DISTINCT = 100
A_FOLDER = 1_000
SIDE = 32
MOST_BYTES = 100.0
"""By which the memory of the process may grow with each input."""


def main() -> None:
    """Measure and report, or measure one folder in this process."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--folder", type=Path, help="internal: the films to predict")
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(predicted(options.folder, ray=options.executor == "ray")))
        return
    counts = sorted(options.counts)
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as temporary:
        films = Path(temporary) / "films"
        measured = []
        for count in counts:
            fill(films, count)
            of = ("--folder", str(films), "--executor", options.executor)
            measured.append(measuring.in_own_process(__file__, *of))
            print(count, measured[-1], flush=True)
        shutil.rmtree(films)
    measuring.report(figures(counts, measured), options.json)


def figures(counts: list[int], measured: list[dict[str, float]]) -> list[measuring.Figure]:
    """Compare the largest folder with the smallest."""
    first, last = measured[0], measured[-1]
    grown = 2**20 * (last["peak_megabytes"] - first["peak_megabytes"])
    a_film = grown / max(1, counts[-1] - counts[0])
    return [
        flat(counts, measured, one="an input", many="inputs"),
        measuring.Figure(
            name="memory that each input more takes",
            unit="bytes",
            ours=a_film,
            limit=MOST_BYTES,
            ratio=a_film / MOST_BYTES,
            of="ours / limit",
            target=1.0,
            more_is_better=False,
            peak_megabytes=last["peak_megabytes"],
        ),
    ]


def fill(films: Path, count: int) -> None:
    """Fill a folder up to `count` films."""
    import cv2

    generator = np.random.default_rng(0)
    ramp = np.linspace(40, 200, SIDE)[:, None] * np.ones(SIDE)
    originals = films / f"{0:04d}"
    originals.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = films / f"{number // A_FOLDER:04d}" / f"{number:07d}.png"
        if path.exists():
            continue
        if number < DISTINCT:
            film = ramp + generator.normal(0, 12, (SIDE, SIDE))
            cv2.imwrite(str(path), film.clip(0, 255).astype(np.uint8))
            continue
        path.parent.mkdir(exist_ok=True)
        path.hardlink_to(originals / f"{number % DISTINCT:07d}.png")


def predicted(films: Path, *, ray: bool) -> dict[str, float]:
    """Predict a folder, with all tables."""
    import torch

    from pipelines.deploy.ray_batch.predict import predict_on_ray
    from pipelines.inference.batch import predict_folder
    from pipelines.workflows.bundle import Bundle

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with made_bundle() as root, tempfile.TemporaryDirectory() as output:
        bundle = Bundle(root.name, root)
        overrides: dict[str, object] = {"evaluator::report": False, "device": "cpu"}
        began = time.perf_counter()
        summary: Any
        if ray:
            summary = predict_on_ray(
                bundle, films, Path(output), given=str(root), overrides=overrides
            )
        else:
            summary = predict_folder(bundle, films, Path(output), overrides=overrides)
        seconds = time.perf_counter() - began
    return {
        "milliseconds": 1000 * seconds / summary["predicted"],
        "core_milliseconds": 1000 * measuring.core_seconds() / summary["predicted"],
        "peak_megabytes": measuring.peak_megabytes(),
        "films_per_second": summary["films_per_second"],
    }


@contextmanager
def made_bundle() -> Iterator[Path]:
    """Write a bundle like the shipped chest classifier, with next to no network."""
    from monai.networks.nets import DenseNet

    from pipelines.evaluation.operating_point import OperatingPoint
    from pipelines.labels import PNEUMONIA_CLASSES
    from pipelines.networks.weights import save_weights
    from pipelines.workflows.bundle import find_bundle

    shipped = find_bundle("pneumonia_classification").root
    tiny = {
        **{"spatial_dims": 2, "in_channels": 1, "out_channels": 1},
        **{"block_config": [1], "init_features": 1, "growth_rate": 1, "bn_size": 1},
    }
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "stub"
        (root / "configs").mkdir(parents=True)
        made = json.loads((shipped / "configs" / "inference.json").read_text("utf-8"))
        made["network_def"] = {"_target_": "monai.networks.nets.DenseNet", **tiny}
        made |= {"image_size": SIDE, "inferer": {"_target_": "monai.inferers.SimpleInferer"}}
        made["engine"]["batch_size"] = 64
        (root / "configs" / "inference.json").write_text(json.dumps(made), "utf-8")
        metadata = {"name": "stub", "version": "0.0.1", "network_data_format": {}}
        (root / "configs" / "metadata.json").write_text(json.dumps(metadata), "utf-8")
        save_weights(DenseNet(**tiny), root / "models" / "model.pt")
        OperatingPoint(0.5, 1.0, PNEUMONIA_CLASSES, "youden", "validation").save(
            root / "models" / "operating_point.json"
        )
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        yield root


if __name__ == "__main__":
    main()
