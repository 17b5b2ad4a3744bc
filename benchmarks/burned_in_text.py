"""How often does `deidentify` flag text at the margins: text that is planted, and films without?

Takes folders of films, and asks of each film as it is and with one printed line planted in a corner
(a name and a date, an identifier, an address), white on dark and black on bright, of four heights.
Films that are flagged as they are get no planted line; look at them: real films have text more
often than one thinks. Names of flagged files are printed.

    python benchmarks/burned_in_text.py chest_xray_originals/ hand_radiographs/
"""

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from scipy.stats import binomtest

from pipelines.deploy.deidentify.burned_in import has_text_at_margins
from pipelines.ingest.collect import collect
from pipelines.ingest.read import read_radiograph

LINES = ("MILLER ANNA 01.02.1950", "ID 4711-0815", "12.03.2021 14:07", "St. Mary Hospital")
HEIGHTS = (0.012, 0.018, 0.025, 0.04)
"""Of a capital letter, as a share of the film's height."""


def planted(grey: np.ndarray, height: float, random: np.random.Generator) -> np.ndarray:
    """Print a line into a corner.

    Args:
        grey: float32, 0 to 1, (1, height, width).
        height: Of a capital letter, as a share of the film's height.
        random: Chooses line and corner.
    """
    rows, columns = grey.shape[1:]
    high = max(8, round(height * rows))
    text, thickness = str(random.choice(LINES)), max(1, round(high / 11))
    font = cv2.FONT_HERSHEY_SIMPLEX
    (wide, tall), _ = cv2.getTextSize(text, font, high / 22, thickness)
    left = random.choice([0.02 * columns, max(0, columns - wide - 0.02 * columns)])
    bottom = random.choice([0.03 * rows + tall, rows - 0.03 * rows])
    mask = np.zeros((rows, columns), np.uint8)
    place = (int(left), int(bottom))
    cv2.putText(mask, text, place, font, high / 22, 255, thickness, cv2.LINE_AA)
    share = mask / 255
    around = mask[None] > 0
    ink = 1.0 if grey[around].mean() < 0.5 else 0.0  # so that a person can read it
    return (grey * (1 - share) + ink * share).astype(np.float32)


def shown(found: list[bool]) -> str:
    """A share with its exact 95 % interval."""
    low, high = binomtest(sum(found), len(found)).proportion_ci(method="exact")
    return f"{sum(found)} of {len(found)} ({low:.3f} to {high:.3f})"


def measure(folder: Path, most: int) -> None:
    """Print the table of one folder."""
    random = np.random.default_rng(0)
    flagged: list[str] = []
    asked = 0
    hits: dict[float, list[bool]] = defaultdict(list)
    for item in collect(folder).items[:most]:
        pixels = read_radiograph(item.path, frame=item.frame).pixels.mean(axis=0, keepdims=True)
        asked += 1
        if has_text_at_margins(pixels):
            flagged.append(item.filename)
            continue
        for height in HEIGHTS:
            hits[height].append(has_text_at_margins(planted(pixels, height, random)))
    print(f"{folder.name}: {len(flagged)} of {asked} flagged as they are: {', '.join(flagged)}")
    for height, found in hits.items():
        print(f"  planted lines {height:.1%} high: {shown(found)}")


def main() -> None:
    """Measure each folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=60, help="films a folder")
    options = parser.parse_args()
    for folder in options.folders:
        measure(folder, options.most)


if __name__ == "__main__":
    main()
