"""Seconds a film of 2048 x 2048 through the hand network's sliding window, against MONAI's default.

MONAI's is `SlidingWindowInferer` with a window of 512 and all else as it comes, on the network as
it comes (float32). Ours has the same windows and weights of seams, and runs as `predict` does, in
the quick precision of the machine. Each is measured in a process of its own, so that the largest
resident memory is its own. Masks are held against each other twice: in float32 on the films of 2048
x 2048, where the two ways shall be one, and in the quick precision at the network's own size, where
the shipped weights draw bones.

    python benchmarks/sliding_window.py [--films DIR] [--repeats 3] [--json FILE]
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import measuring
import numpy as np
import numpy.typing as npt
import torch
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet

from pipelines.datasets.phantoms.hand import hand_radiograph
from pipelines.datasets.phantoms.hand_anatomy import draw_person
from pipelines.ingest.read import read_radiograph
from pipelines.networks.device import autocast
from pipelines.networks.sliding_window import SlidingWindow
from pipelines.networks.weights import load_weights
from pipelines.transforms.intensity import stretch
from pipelines.transforms.letterbox import Letterbox

WEIGHTS = Path("bundles/hand_bone_segmentation/models/model.pt")
SIDE, WINDOW, SMALL = 2048, 512, 320
MEAN, DEVIATION = 0.449, 0.226
CPU = torch.device("cpu")
WAYS = ("ours", "float32", "monai")


def main() -> None:
    """Print the figures, or measure one way where this is the process for it."""
    parser = measuring.arguments(__doc__)
    parser.add_argument("--films", type=Path, help="folder of hands; default: generated ones")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--masks", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.films, given.masks, given.repeats)))
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = {}
        masks = {}
        for way in WAYS:
            kept = Path(folder) / f"{way}.npy"
            options = ["--way", way, "--masks", str(kept), "--repeats", str(given.repeats)]
            options += ["--films", str(given.films)] if given.films else []
            measured[way] = measuring.in_own_process(__file__, *options)
            masks[way] = np.unpackbits(np.load(kept), axis=-1)
    ours, monai = measured["ours"], measured["monai"]
    memory = ours["peak_megabytes"]
    small = dice_in_quick_precision(given.films)
    peer = {"peer_name": "MONAI"}
    measuring.report(
        [
            measuring.Figure(
                "sliding window, hand network at 2048 x 2048",
                "s/film",
                ours["seconds"],
                monai["seconds"] / ours["seconds"],
                "peer / ours",
                2.0,
                peer=monai["seconds"],
                peak_megabytes=memory,
                **peer,
            ),
            measuring.Figure(
                "the same in float32",
                "s/film",
                measured["float32"]["seconds"],
                monai["seconds"] / measured["float32"]["seconds"],
                "peer / ours",
                1.0,
                peer=monai["seconds"],
                peak_megabytes=measured["float32"]["peak_megabytes"],
                **peer,
            ),
            measuring.Figure(
                "its memory",
                "MB",
                memory,
                memory / monai["peak_megabytes"],
                "ours / peer",
                1.0,
                more_is_better=False,
                peer=monai["peak_megabytes"],
                **peer,
            ),
            dice_figure("Dice of its masks and MONAI's, both float32", masks),
            measuring.Figure(
                "Dice of masks in quick precision and in float32, 320 x 320",
                "",
                small,
                small,
                "mean of bones",
                0.999,
            ),
        ],
        given.json,
    )


def dice_figure(name: str, masks: dict[str, npt.NDArray[np.uint8]]) -> measuring.Figure:
    """Hold masks of both ways against each other: the lowest Dice of any bone."""
    lowest = float(dice(masks["float32"] != 0, masks["monai"] != 0).min())
    return measuring.Figure(name, "", lowest, lowest, "lowest of bones", 0.999)


def measure(way: str, films: Path | None, kept: Path, repeats: int) -> dict[str, float]:
    """Run one way over a film, and keep its masks."""
    film = tensor(next(hands(films, 1)), SIDE)
    run = runner(way)
    with torch.inference_mode():
        np.save(kept, np.packbits(run(film)[0].numpy() > 0, axis=-1))
        seconds = measuring.median_seconds(lambda: run(film), repeats=repeats, warm_up=0)
    return {"seconds": seconds, "peak_megabytes": measuring.peak_megabytes()}


def runner(way: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what takes a film to its maps."""
    trained = network()
    inferer = (
        SlidingWindowInferer(WINDOW) if way == "monai" else SlidingWindow(WINDOW, mode="constant")
    )

    def run(film: torch.Tensor) -> torch.Tensor:
        with autocast(CPU) if way == "ours" else nullcontext():
            maps: torch.Tensor = inferer(film, trained)
            return maps

    return run


def dice_in_quick_precision(films: Path | None) -> float:
    """Compare masks in both precisions where the shipped weights know the hand's size."""
    trained = network()
    found = []
    with torch.inference_mode():
        for pixels in hands(films, 8):
            film = tensor(pixels, SMALL)
            exact = trained(film)[0].numpy() > 0
            with autocast(CPU):
                quick = trained(film)[0].float().numpy() > 0
            found.append(dice(exact, quick))
    return float(np.nanmean(found))


def dice(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Dice of each map; NaN where both are empty."""
    axes = (-2, -1)
    both = np.count_nonzero(one & other, axis=axes)
    either = np.count_nonzero(one, axis=axes) + np.count_nonzero(other, axis=axes)
    return np.where(either, 2 * both / np.maximum(either, 1), np.nan)


def network() -> torch.nn.Module:
    """The hand network with the shipped weights."""
    built = UNet(2, 1, 29, channels=(16, 32, 64, 128, 192, 256), strides=(2,) * 5, num_res_units=1)
    return load_weights(built, WEIGHTS, device=CPU).eval()


def hands(folder: Path | None, count: int) -> Iterator[npt.NDArray[np.float32]]:
    """Give films, float32, (1, height, width), stretched to 0 to 1."""
    if folder is not None:
        for path in sorted(folder.glob("*.png"))[:count]:
            yield stretch(read_radiograph(path).pixels[:1])
        return
    for seed in range(count):
        random = np.random.default_rng(seed)
        drawn = hand_radiograph(draw_person(random), right=bool(seed % 2), random=random)
        yield stretch(drawn.pixels[None].astype(np.float32) / 255)


def tensor(pixels: npt.NDArray[np.float32], side: int) -> torch.Tensor:
    """Lay a film into a square, as the bundle does: (1, 1, side, side)."""
    height, width = pixels.shape[1:]
    laid = Letterbox((height, width), (side, side)).to_network(pixels)
    return torch.from_numpy((laid - MEAN) / DEVIATION)[None].float()


if __name__ == "__main__":
    main()
