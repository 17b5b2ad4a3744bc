"""How often does the guard flag films that belong, and how often films that do not?

The guard is fitted with the bundle's own preprocessing on the training films, a tenth of their
patients left out; its limit is set on the validation films; what is reported under `held out` are
the patients left out. Films that belong are also turned and inverted, and each folder given as
NAME=FOLDER is a set of foreign films, of which at most `--films` are drawn. The peer is the usual
choice, the error of a reconstruction from 32 principal components of the same thumbnails, with its
limit set in the same way. Intervals are Wilson's, 95 %, counting patients rather than films.

    python benchmarks/guard.py chest_xray/ hand=hand_radiographs/ skin=skin_lesions/images/
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import PlainfilmError, refusal_of
from pipelines.evaluation.guard import Guard, describe_pixels, thumbnails
from pipelines.evaluation.guard_fit import fit_guard
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.ingest.collect import collect
from pipelines.workflows.bundle import find_bundle

PEER_AXES = 32
BLOCK = 64
Scorer = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of labelled films of the bundle's kind")
    parser.add_argument("foreign", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--bundle", default="pneumonia_classification")
    parser.add_argument("--classes", nargs="+", default=["NORMAL", "PNEUMONIA"])
    parser.add_argument("--films", type=int, default=1500, help="most films of a foreign set")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    chain = InferenceConfiguration(find_bundle(given.bundle), {}).build("preprocessing")
    read = lambda paths: films(chain, paths)  # noqa: E731 - names what is read below
    data = OpenedDataset(given.data, classes=given.classes)
    train, held = leave_out(data.split("train"), given.seed)
    val = data.split("val")
    guard = fit_guard(read(paths_of(train)), read(paths_of(val)))
    own = {"validation": val, "held out": held}
    prepared = {name: np.stack(list(read(paths_of(items)))) for name, items in own.items()}
    peer, peer_limit = fit_peer(read(paths_of(train)), prepared["validation"])

    print(f"{'films':24} {'number':>7} {'flagged':>8}  {'95 % interval':16} {'peer':>6}")
    for name, images in prepared.items():
        groups = len({item["group"] for item in own[name]})
        tell(name, images, guard, peer=(peer, peer_limit), independent=groups)
    for name, images in changed(prepared["held out"]):
        tell(name, images, guard, peer=(peer, peer_limit), independent=len(images))
    for entry in given.foreign:
        name, _, folder = entry.partition("=")
        paths = [item.path for item in collect(Path(folder)).items]
        drawn = np.random.default_rng(given.seed).permutation(len(paths))[: given.films]
        foreign = list(read([paths[index] for index in sorted(drawn)]))
        if not foreign:
            parser.error(f"expected films in the folder of {name}, found none")
        images = np.stack(foreign)
        tell(name, images, guard, peer=(peer, peer_limit), independent=len(images))


def films(chain: Callable[[dict[str, object]], dict], paths: list[Path]) -> Iterator[np.ndarray]:
    """Prepare films as the network sees them; one that cannot be read is left out and named."""
    for path in paths:
        try:
            yield chain({"image": path})["image"].numpy()
        except Exception as error:  # noqa: BLE001 - MONAI wraps what a transform raises
            refusal: PlainfilmError = refusal_of(error)
            print(f"left out {Path(path).name}: {refusal.reason}")


def paths_of(items: list[dict]) -> list[Path]:
    """Return where the films are."""
    return [Path(item["image"]) for item in items]


def leave_out(items: list[dict], seed: int) -> tuple[list[dict], list[dict]]:
    """Part a tenth of the patients from the rest."""
    groups = sorted({item["group"] for item in items})
    chosen = np.random.default_rng(seed).choice(groups, max(1, len(groups) // 10), replace=False)
    left = set(chosen.tolist())
    kept = [item for item in items if item["group"] not in left]
    return kept, [item for item in items if item["group"] in left]


def fit_peer(train: Iterator[np.ndarray], val: np.ndarray) -> tuple[Scorer, float]:
    """Fit principal components; the score is the error of the reconstruction."""
    described = np.concatenate([describe_pixels(thumbnails(film[None])) for film in train])
    mean = described.mean(axis=0)
    axes = np.linalg.svd(described - mean, full_matrices=False)[2][:PEER_AXES]

    def score(images: np.ndarray) -> np.ndarray:
        centred = describe_pixels(thumbnails(images)) - mean
        return (centred**2).sum(1) - ((centred @ axes.T) ** 2).sum(1)

    return score, float(np.quantile(score(val), 0.99))


def changed(images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Make films that do not belong of films that do, and patterns."""
    for name, turns in (("turned by 90 degrees", 1), ("turned by 180 degrees", 2)):
        yield name, np.ascontiguousarray(np.rot90(images, turns, (2, 3)))
    yield "inverted", -images
    yield "mirrored (belongs)", np.ascontiguousarray(images[..., ::-1])
    side, channels = images.shape[-1], images.shape[1]
    rows, columns = np.mgrid[0:side, 0:side] / side
    patterns = [
        np.zeros((side, side)),
        rows,
        rows + columns,
        np.hypot(rows - 0.5, columns - 0.5),
        (np.hypot(rows - 0.5, columns - 0.5) < 0.3) * 1.0,
        np.sign(np.sin(rows * 50) * np.sin(columns * 50)),
        np.floor(rows * 11) / 11,
        np.random.default_rng(0).normal(size=(side, side)),
    ]
    stacked = np.stack(patterns)[:, None].repeat(channels, axis=1).astype(np.float32)
    yield "blank and patterns", stacked


def tell(
    name: str, images: np.ndarray, guard: Guard, *, peer: tuple[Scorer, float], independent: int
) -> None:
    """Print a row."""
    blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    share = np.concatenate([guard.flags(guard.score(block)) for block in blocks]).mean()
    others = np.concatenate([peer[0](block) > peer[1] for block in blocks]).mean()
    low, high = wilson(share, independent)
    print(f"{name:24} {len(images):7} {share:8.3f}  {low:.3f} to {high:.3f}   {others:6.3f}")


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


if __name__ == "__main__":
    main()
