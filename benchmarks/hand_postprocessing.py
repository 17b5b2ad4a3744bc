"""Seconds from the hand network's logits to masks, run lengths, sizes and outlines on a 2048 film.

The limit is one second a film; the peer is what MONAI's transforms and the usual lines for run
lengths make of the same logits: `Resize`, `AsDiscrete`, `KeepLargestConnectedComponent`, then a
pass over all pixels of each mask. It measures no lengths and traces no outlines; ours does. One
thread each. The shipped network draws the bones of a generated hand.

    python benchmarks/hand_postprocessing.py [--repeats 3] [--json FILE]
"""

import warnings
from pathlib import Path

import cv2
import measuring
import numpy as np
import numpy.typing as npt
import torch
from monai.transforms import AsDiscrete, KeepLargestConnectedComponent, Resize
from sliding_window import WEIGHTS, hands, network, tensor
from torch.nn import functional

from pipelines.evaluation.region_pictures import outline
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.prepared import PreparedFilm
from pipelines.inference.segment import Segment, on_film
from pipelines.ingest.collect import Item
from pipelines.predictions import Segmentation
from pipelines.radiograph import Provenance, Radiograph
from pipelines.results.masks import measure_region
from pipelines.results.rle import decode
from pipelines.transforms.letterbox import Letterbox

SIDE, SMALL = 2048, 320
SPACING = (0.15, 0.15)
LIMIT = 1.0
Logits = npt.NDArray[np.float32]


def main() -> None:
    """Print the figures."""
    given = measuring.arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    pixels = next(hands(None, 1))
    with torch.inference_mode():
        logits = network()(tensor(pixels, SMALL))
        large = functional.interpolate(logits, (SIDE, SIDE), mode="bilinear")
        large = large.contiguous()  # map by map, as the sliding window stitches them
    figures = [
        *against_the_plain_way("29 maps of 320 x 320 to a film", logits[0].numpy(), given.repeats),
        *against_the_plain_way("29 maps of 2048 x 2048", large[0].numpy(), given.repeats),
    ]
    for size, maps in ((SMALL, logits.numpy()), (SIDE, large.numpy())):
        name = f"the same with the refiner, {size} x {size}"
        figures.append(with_refiner(name, pixels, maps, given.repeats))
    measuring.report(figures, given.json)


def against_the_plain_way(name: str, logits: Logits, repeats: int) -> list[measuring.Figure]:
    """Measure both ways on the same logits, and hold their masks against each other."""
    point = SegmentationPoint.beside(WEIGHTS)
    film = prepared(logits.shape[1:])
    seconds = measuring.median_seconds(lambda: ours(film, logits, point), repeats=repeats)
    peer = measuring.median_seconds(lambda: plain(logits, point), repeats=1, warm_up=0)
    lowest = min(map(dice, ours(film, logits, point), plain(logits, point)))
    return [
        limited(f"from logits to results, {name}", seconds, peer=peer),
        measuring.Figure(f"Dice of both masks, {name}", "", lowest, lowest, "lowest bone", 0.9999),
    ]


def limited(name: str, seconds: float, *, peer: float | None = None) -> measuring.Figure:
    """Hold seconds a film against the limit."""
    return measuring.Figure(
        name,
        "s/film",
        seconds,
        seconds / LIMIT,
        "ours / limit",
        1.0,
        more_is_better=False,
        peer=peer,
        peer_name="MONAI",
        limit=LIMIT,
    )


def prepared(size: tuple[int, ...], source: Radiograph | None = None) -> PreparedFilm:
    """Tell how the network's square of a size lies on the film."""
    height, width = size
    return PreparedFilm(
        item=Item(Path(), "film"),
        image=torch.zeros(1, height, width),
        original_size=(SIDE, SIDE),
        spacing_mm=SPACING,
        placement=Letterbox((SIDE, SIDE), (height, width)),
        source=source,
    )


def ours(film: PreparedFilm, logits: Logits, point: SegmentationPoint) -> list[str]:
    """Do what `Segment` does for each structure, with its outline."""
    found = []
    for channel, name in enumerate(point.classes):
        mask = point.decide(on_film(film, logits[channel]), channel)
        found.append(measure_region(name, mask, spacing_mm=film.spacing_mm).rle)
        outline(mask)
    return found


def plain(logits: Logits, point: SegmentationPoint) -> list[str]:
    """Do it with MONAI's transforms, all maps at once, and encode pixel by pixel."""
    maps = torch.from_numpy(logits)
    if maps.shape[1:] != (SIDE, SIDE):
        maps = Resize((SIDE, SIDE), mode="bilinear")(maps)
    odds = torch.tensor(point.thresholds)[:, None, None]
    chosen = AsDiscrete(threshold=0)(maps - torch.log(odds / (1 - odds)))
    masks = KeepLargestConnectedComponent(range(len(maps)), is_onehot=True)(chosen)
    return [run_lengths(np.asarray(mask)) for mask in masks]


def run_lengths(mask: npt.NDArray[np.float32]) -> str:
    """Write a mask as run lengths the usual way."""
    padded = np.concatenate([[0], mask.flatten(), [0]])
    runs = np.where(padded[1:] != padded[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(number) for number in runs)


def dice(one: str, other: str) -> float:
    """Dice of two masks, given as run lengths."""
    masks = [decode(each, (SIDE, SIDE)) for each in (one, other)]
    either = sum(int(np.count_nonzero(mask)) for mask in masks)
    return 2 * int(np.count_nonzero(masks[0] & masks[1])) / either if either else 1.0


def with_refiner(name: str, pixels: Logits, maps: Logits, repeats: int) -> measuring.Figure:
    """Measure `Segment` with the shipped refiner, without files."""
    film = prepared(maps.shape[2:], Radiograph(pixels, SPACING, Provenance("png", 8)))
    post = Segment(WEIGHTS, output_dir="unused", save=())
    post.about()  # reads operating point and weights

    def run() -> None:
        (record,) = post([film], maps)
        if not isinstance(record, Segmentation):
            raise TypeError(f"expected a segmentation, got {record}")

    return limited(name, measuring.median_seconds(run, repeats=repeats))


if __name__ == "__main__":
    main()
