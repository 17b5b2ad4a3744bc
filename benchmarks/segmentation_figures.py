"""Seconds a film for HD95 and surface Dice of 29 bones at 2048 x 2048, against MONAI's.

The films are generated hands; the prediction is the truth, each bone shifted by a few pixels and
cut at one end. MONAI's metrics crop each bone, as ours do, but measure over maps of distances. Both
are held against each other: the last column is the largest difference of any figure. Seconds are
those of the processor, one thread.

    python benchmarks/segmentation_figures.py [--films 3]
"""

import argparse
import time
import warnings
from collections.abc import Callable

import cv2
import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from pipelines.datasets.phantoms.hand import hand_radiograph
from pipelines.datasets.phantoms.hand_anatomy import draw_person
from pipelines.evaluation.segmentation_figures import Tolerance, compare_masks

SPACING = (0.15, 0.15)
TOLERANCE = Tolerance(mm=0.5)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", UserWarning)
    films = [film(seed) for seed in range(given.films)]
    seconds, found = zip(*(timed(measure, films) for measure in (ours, monai)), strict=True)
    difference = np.nanmax(np.abs(found[0] - found[1]))
    print(f"{'':8} {'s a film':>9} {'ratio':>6}  largest difference {difference:.1e}")
    for name, each in zip(("ours", "MONAI"), seconds, strict=True):
        print(f"{name:8} {each:9.3f} {each / seconds[1]:6.3f}")


def film(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generate true masks and something like a prediction, uint8, (29, 2048, 2048)."""
    random = np.random.default_rng(seed)
    drawn = hand_radiograph(draw_person(random), right=bool(seed % 2), random=random)
    shape = drawn.pixels.shape
    truth = np.zeros((len(drawn.polygons), *shape), np.uint8)
    prediction = np.zeros_like(truth)
    for true, predicted, polygon in zip(truth, prediction, drawn.polygons.values(), strict=True):
        cv2.fillPoly(true, [polygon], 1)
        cv2.fillPoly(predicted, [polygon + random.integers(-4, 5, 2).astype(np.int32)], 1)
        predicted[: polygon[:, 1].min() + 6] = 0
    return truth, prediction


def timed(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray],
    films: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[float, np.ndarray]:
    """Return processor seconds a film, and the figures (films, 29, 2)."""
    started = time.process_time()
    found = np.stack([measure(truth, prediction) for truth, prediction in films])
    return (time.process_time() - started) / len(films), found


def ours(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """HD95 in mm and surface Dice of each bone, ours."""
    pairs = zip(truth, prediction, strict=True)
    found = [compare_masks(*pair, spacing_mm=SPACING, tolerance=TOLERANCE) for pair in pairs]
    return np.array([(each.hd95_mm, each.surface_dice_mm) for each in found])


def monai(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """HD95 in mm and surface Dice of each bone, MONAI's."""
    masks = [torch.from_numpy(each)[None] for each in (prediction, truth)]
    spacing = list(SPACING)
    hd95 = compute_hausdorff_distance(
        *masks, include_background=True, percentile=95, spacing=spacing
    )
    surface = compute_surface_dice(
        *masks, [TOLERANCE.mm] * len(truth), include_background=True, spacing=spacing
    )
    return torch.stack([hd95[0], surface[0]], dim=-1).numpy()


if __name__ == "__main__":
    main()
