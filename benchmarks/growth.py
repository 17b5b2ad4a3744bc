"""Time and memory of `predict` from 100 to 10,000 films, and two readers against one.

Small generated films go through the whole of `predict` with the shipped chest classifier's
preprocessing and a small network, so that what is measured is what surrounds the network: reading,
journal, records, thumbnails, tables, report. The curve is drawn, and the last films must cost what
the first did. Run it from the repository root:

    python benchmarks/growth.py [--most 10000] [--picture FILE] [--json FILE]
"""

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measuring
import numpy as np

BUNDLE = "pneumonia_classification"
COUNTS = (100, 1_000, 10_000)
MOST_MEGABYTES = 1_500
FLAT = 1.2
"""A film of the largest folder may cost so many times what one of the smallest costs."""
SIDE = 160
SIZE = 64
PACKED_SHAPE = (2140, 1760)
PACKED_FILMS = 12
WORKERS = 1.8


def main() -> None:
    """Measure and report, or measure one folder in this process."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--most", type=int, default=COUNTS[-1])
    parser.add_argument("--picture", type=Path, help="draw the curve there")
    parser.add_argument("--folder", type=Path, help="internal: the films to predict")
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(predicted(options.folder)))
        return
    counts = [count for count in COUNTS if count <= options.most]
    with tempfile.TemporaryDirectory() as temporary:
        measured = [grown(Path(temporary), count) for count in counts]
        workers = two_against_one(Path(temporary), options.repeats)
    if options.picture:
        draw(options.picture, counts, measured)
    first, last = measured[0], measured[-1]
    figures = [
        flat(counts, measured, one="a film", many="films"),
        measuring.Figure(
            name=f"memory of {counts[-1]} films",
            unit="MB",
            ours=last["peak_megabytes"],
            peer=first["peak_megabytes"],
            peer_name=f"{counts[0]} films",
            limit=MOST_MEGABYTES,
            ratio=last["peak_megabytes"] / MOST_MEGABYTES,
            of="ours / limit",
            target=1.0,
            more_is_better=False,
            peak_megabytes=last["peak_megabytes"],
        ),
        workers,
    ]
    measuring.report(figures, options.json)


def flat(
    counts: Sequence[int], measured: Sequence[dict[str, float]], *, one: str, many: str
) -> measuring.Figure:
    """Hold what one costs in the largest folder against what it costs in the smallest.

    Args:
        counts: Sizes of the folders, ascending.
        measured: Of each, `milliseconds` and `peak_megabytes`.
        one: What is counted, with its article.
        many: The same in the plural.
    """
    first, last = measured[0], measured[-1]
    return measuring.Figure(
        name=f"{one} of {counts[-1]} against one of {counts[0]}",
        unit="ms",
        ours=last["milliseconds"],
        peer=first["milliseconds"],
        peer_name=f"{counts[0]} {many}",
        ratio=last["milliseconds"] / first["milliseconds"],
        of="ours / peer",
        target=FLAT,
        more_is_better=False,
        peak_megabytes=last["peak_megabytes"],
    )


def grown(folder: Path, count: int) -> dict[str, float]:
    """Fill a folder up to `count` films and predict it in a process of its own."""
    import cv2

    films = folder / "films"
    films.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    ramp = np.linspace(40, 200, SIDE)[:, None] * np.ones(SIDE)
    for number in range(count):
        path = films / f"{number:05d}.png"
        if not path.exists():
            film = ramp + generator.normal(0, 12, (SIDE, SIDE))
            cv2.imwrite(str(path), film.clip(0, 255).astype(np.uint8))
    return measuring.in_own_process(__file__, "--folder", str(films))


def predicted(films: Path) -> dict[str, float]:
    """Predict a folder, with everything that is written."""
    from pipelines.evaluation.operating_point import OperatingPoint
    from pipelines.inference.batch import BatchPredictor
    from pipelines.inference.classify import Classify
    from pipelines.inference.engine import Engine
    from pipelines.inference.folder import RadiographFolder
    from pipelines.inference.reading import ReaderPool
    from pipelines.labels import PNEUMONIA_CLASSES
    from pipelines.networks.classifiers import build_classifier
    from pipelines.networks.weights import save_weights
    from pipelines.transforms.chains import radiograph_preprocessing
    from pipelines.workflows.bundle import find_bundle

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        network = build_classifier("resnet18", in_channels=1, out_channels=1, dropout=0.0)
        save_weights(network, folder / "model.pt")
        OperatingPoint(0.5, 1.0, PNEUMONIA_CLASSES, "youden", "validation").save(
            folder / "operating_point.json"
        )
        evaluator = BatchPredictor(
            RadiographFolder(films, radiograph_preprocessing(SIZE, film_size=SIZE)),
            Engine(
                network,
                folder / "model.pt",
                device="cpu",
                inferer=lambda images, run: run(images),
                batch_size=32,
            ),
            ReaderPool(),
            postprocessing=Classify(folder / "model.pt"),
            bundle_root=str(find_bundle(BUNDLE).root),
            output_dir=str(folder / "output"),
        )
        began = time.perf_counter()
        summary: Any = evaluator.run()
        seconds = time.perf_counter() - began
    return {
        "milliseconds": 1000 * seconds / summary["predicted"],
        "peak_megabytes": measuring.peak_megabytes(),
    }


def two_against_one(folder: Path, repeats: int) -> measuring.Figure:
    """Read lossless JPEG 2000 films, decoded in full, by one reader and by two."""
    import imagecodecs
    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
    from pipelines.inference.folder import RadiographFolder
    from pipelines.inference.reading import ReaderPool
    from pipelines.transforms.chains import radiograph_preprocessing

    generator = np.random.default_rng(0)
    ramp = np.linspace(0.1, 0.8, PACKED_SHAPE[0], dtype=np.float32)[:, None]
    film = np.clip(ramp + generator.normal(0, 0.003, PACKED_SHAPE), 0, 1).astype(np.float32)
    packed = folder / "packed"
    packed.mkdir()
    first = packed / "0.dcm"
    header = FilmHeader("film", "GENERATED", 1, inverted=False, sex="F", age_years=40)
    write_dx(first, film, header=header)
    dataset = dcmread(first)
    stream = imagecodecs.jpeg2k_encode(
        dataset.pixel_array, level=0, codecformat="j2k", reversible=True, bitspersample=12
    )
    dataset.PixelData = encapsulate([bytes(stream)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(first, enforce_file_format=True)
    item = RadiographFolder(packed, radiograph_preprocessing(SIZE))
    task = item.collection.items[0]

    def seconds(threads: int) -> float:
        def run() -> None:
            for _ in ReaderPool(threads=threads).read(item.load, [task] * PACKED_FILMS):
                pass

        return measuring.median_seconds(run, repeats=repeats)

    one, two = seconds(1), seconds(2)
    return measuring.Figure(
        name="two readers against one, JPEG 2000 in full",
        unit="films/s",
        ours=PACKED_FILMS / two,
        peer=PACKED_FILMS / one,
        peer_name="one reader",
        ratio=one / two,
        of="ours / peer",
        target=WORKERS,
    )


def draw(path: Path, counts: Sequence[int], measured: Sequence[dict[str, float]]) -> None:
    """Draw milliseconds a film and memory over the number of films."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, key, words in (
        (axes[0], "milliseconds", "ms a film, start included"),
        (axes[1], "peak_megabytes", "peak memory, MB"),
    ):
        axis.plot(counts, [each[key] for each in measured], marker="o")
        axis.set_xscale("log")
        axis.set_ylim(0, 1.1 * max(each[key] for each in measured))
        axis.set_xlabel("films")
        axis.set_ylabel(words)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
