"""Films read at the resolution that the network needs, against reading all of them.

Generated chest films of 2140 x 1760 pixels are written uncompressed in 12 bits, as lossless JPEG
2000 in 10 bits and as JPEG, and prepared for the shipped chest classifier: once read whole, once at
the resolution that it needs, in turn. The largest difference of its probabilities is a figure;
with `--films` that of a folder of real films too. Run it from the repository root:

    python benchmarks/reduced_reading.py [--films FOLDER] [--json FILE]
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import measuring
import numpy as np
import torch
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from pipelines.datasets.phantoms.chest import chest_film
from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.workflows.bundle import find_bundle

BUNDLE = "pneumonia_classification"
SHAPE = (2140, 1760)
FILMS = 3
NOISE = 2.7 / 1023
"""Standard deviation: such a film takes 3.5 bits a pixel in JPEG 2000, as a real one does."""
BITS = 10
"""Of the real one."""
TARGETS = {"JPEG 2000": 10.0, "native": 1.5, "JPEG": 1.0}
MOST_DIFFERENCE = 0.005


def main() -> None:
    """Measure and report."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--films", type=Path, help="folder of real films to compare answers on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        sets = write_films(Path(temporary))
        whole, reduced = (predictor(Path(temporary), reduced=each) for each in (False, True))
        figures = [
            speed(
                kind, films, (whole.dataset.transform, reduced.dataset.transform), options.repeats
            )
            for kind, films in sets.items()
        ]
        films = [film for each in sets.values() for film in each]
        figures.append(difference("generated films", films, whole, reduced))
    if options.films:
        real = sorted(path for path in options.films.rglob("*") if path.is_file())
        figures.append(difference(f"{len(real)} films given", real, whole, reduced))
    measuring.report(figures, options.json)


def write_films(folder: Path) -> dict[str, list[Path]]:
    """Write the same films three times."""
    sets: dict[str, list[Path]] = {"JPEG 2000": [], "native": [], "JPEG": []}
    for number in range(FILMS):
        random = np.random.default_rng(number)
        drawn = chest_film(random, opacity=bool(number % 2))
        smooth = cv2.resize(drawn, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
        film = np.clip(smooth + random.normal(0, NOISE, SHAPE), 0, 1).astype(np.float32)
        header = FilmHeader(f"film {number}", "GENERATED", 1, inverted=False, sex="F", age_years=40)
        native, packed = folder / f"{number}.dcm", folder / f"{number}_j2k.dcm"
        write_dx(native, film, header=header)
        dataset = dcmread(native)
        samples = dataset.pixel_array >> (dataset.BitsStored - BITS)
        dataset.BitsStored, dataset.HighBit = BITS, BITS - 1
        dataset.WindowCenter, dataset.WindowWidth = 2 ** (BITS - 1), 2**BITS
        stream = imagecodecs.jpeg2k_encode(
            samples, level=0, codecformat="j2k", reversible=True, bitspersample=BITS
        )
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.save_as(packed, enforce_file_format=True)
        photo = folder / f"{number}.jpg"
        Image.fromarray((film * 255).astype(np.uint8)).save(photo, quality=90)
        for kind, path in zip(sets, (packed, native, photo), strict=True):
            sets[kind].append(path)
    return sets


def predictor(folder: Path, *, reduced: bool) -> Any:
    """Build what predicts, without running it."""
    given = {"dataset_dir": str(folder), "output_dir": str(folder / "none")}
    overrides = given | {"reduced_reading": reduced, "device": "cpu"}
    return InferenceConfiguration(find_bundle(BUNDLE), overrides).build("evaluator")


def speed(
    kind: str,
    films: Sequence[Path],
    prepare: tuple[Callable[[Any], Any], Callable[[Any], Any]],
    repeats: int,
) -> measuring.Figure:
    """Compare seconds of a core that a film takes until the network can have it."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(repeats + 1):
        for film in films:
            for is_reduced, transform in zip((False, True), prepare, strict=True):
                began = time.process_time()
                transform({"image": film, "frame": 0})
                if turn:  # the first one warms up
                    taken[is_reduced].append(time.process_time() - began)
    slow, quick = (1000 * statistics.median(taken[each]) for each in (False, True))
    return measuring.Figure(
        name=f"{kind} film of {SHAPE[0]}x{SHAPE[1]}, read and prepared",
        unit="core-ms",
        ours=quick,
        peer=slow,
        peer_name="read whole",
        ratio=slow / quick,
        of="peer / ours",
        target=TARGETS[kind],
        peak_megabytes=measuring.peak_megabytes(),
    )


def difference(name: str, films: Sequence[Path], whole: Any, reduced: Any) -> measuring.Figure:
    """Return by how much the probability of a film changes at most."""
    answers = [probabilities(films, each) for each in (whole, reduced)]
    largest = float(np.abs(answers[0] - answers[1]).max())
    return measuring.Figure(
        name=f"largest difference of a probability, {name}",
        unit="",
        ours=largest,
        ratio=largest,
        of="difference",
        target=MOST_DIFFERENCE,
        more_is_better=False,
    )


def probabilities(films: Sequence[Path], evaluator: Any) -> np.ndarray[Any, Any]:
    """Classify films one after the other and return (film, class)."""
    point = evaluator.postprocessing.operating_point
    found = []
    for film in films:
        image = evaluator.dataset.transform({"image": film, "frame": 0})["image"]
        record = point.classify([film.name], evaluator.engine(image[None]))[0]
        found.append(record.probabilities)
    return np.array([list(each.values()) for each in found])


if __name__ == "__main__":
    main()
