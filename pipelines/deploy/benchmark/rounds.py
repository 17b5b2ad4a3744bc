"""Engines by turns: whatever else the machine does meanwhile hits them all alike."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from pipelines.deploy.benchmark.contestants import BASELINE, ENGINES, Contestant, Shape
from pipelines.evaluation.pictures import BLUE, GREY, VERMILION, picture_file, plain_axes
from pipelines.files import write_csv, write_json
from pipelines.networks.device import processor_name, usable_cores
from pipelines.progress import progress
from pipelines.text_table import text_table

WARM_UP = 3
RUNS = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine takes.

    Attributes:
        engine: Its name, or that of a file.
        megabytes: Size of what it is stored in.
        one_image_ms: Mean of the time of one image alone.
        one_image_ms_sd: Standard deviation over runs.
        one_image_ms_median: Their median.
        speed_up_one_image: Median of the baseline over that of the engine.
        images_per_second: Mean in batches.
        images_per_second_sd: Standard deviation over runs.
        speed_up_batches: Mean over that of the baseline.
    """

    engine: str
    megabytes: float
    one_image_ms: float
    one_image_ms_sd: float
    one_image_ms_median: float
    speed_up_one_image: float
    images_per_second: float
    images_per_second_sd: float
    speed_up_batches: float


def measure(engines: Sequence[Contestant], *, rounds: int, batch: int) -> list[Measured]:
    """Measure engines by turns.

    Args:
        engines: The baseline first.
        rounds: How many turns each has; each is a few runs to warm up and five that count.
        batch: Images in a batch.

    Returns:
        A line an engine.
    """
    one: dict[str, list[float]] = {each.name: [] for each in engines}
    many: dict[str, list[float]] = {each.name: [] for each in engines}
    for _ in progress(range(rounds), "measuring", unit="round"):
        for each in engines:
            one[each.name] += each.seconds(1, warm_up=WARM_UP, runs=RUNS)
        for each in engines:
            taken = each.seconds(batch, warm_up=1, runs=2)
            many[each.name] += [batch / seconds for seconds in taken]
    return [_line(each, one, many, engines[0].name) for each in engines]


def _line(
    engine: Contestant, one: dict[str, list[float]], many: dict[str, list[float]], baseline: str
) -> Measured:
    alone, batches = one[engine.name], many[engine.name]
    median = statistics.median(alone)
    return Measured(
        engine.name,
        engine.megabytes,
        1000 * statistics.fmean(alone),
        1000 * statistics.pstdev(alone),
        1000 * median,
        statistics.median(one[baseline]) / median,
        statistics.fmean(batches),
        statistics.pstdev(batches),
        statistics.fmean(batches) / statistics.fmean(many[baseline]),
    )


def machine() -> str:
    """Name what was measured on: processor, cores, and PyTorch."""
    return (
        f"{processor_name()}, {usable_cores()} cores, PyTorch {torch.__version__.partition('+')[0]}"
    )


def as_text(lines: Sequence[Measured], *, shape: Shape, batch: int) -> str:
    """Lay the lines out for the terminal."""
    heads = ("engine", "MB", "one image, ms", "median", "speed-up", "images/s", "speed-up")
    rows = [
        (
            each.engine,
            f"{each.megabytes:.1f}",
            f"{each.one_image_ms:.2f} ± {each.one_image_ms_sd:.2f}",
            f"{each.one_image_ms_median:.2f}",
            f"{each.speed_up_one_image:.2f}",
            f"{each.images_per_second:.1f} ± {each.images_per_second_sd:.1f}",
            f"{each.speed_up_batches:.2f}",
        )
        for each in lines
    ]
    return "\n".join([text_table([heads, *rows]), _said(shape, batch)])


def _said(shape: Shape, batch: int) -> str:
    size = "x".join(map(str, shape))
    return f"{machine()}; films {size}, batches of {batch}; mean ± standard deviation"


def write(
    output: Path, lines: Sequence[Measured], *, shape: Shape, batch: int, bundle: str
) -> None:
    """Write `benchmark.csv`, `benchmark.json` and `benchmark.png`.

    Args:
        output: Folder; made as needed.
        lines: What was measured.
        shape: Of a film.
        batch: Images in a batch.
        bundle: Its name.
    """
    rows = [asdict(each) for each in lines]
    write_csv(output / "benchmark.csv", list(rows[0]), rows)
    about = {"bundle": bundle, "machine": machine(), "film": list(shape), "batch": batch}
    named = {each.engine: ENGINES.get(each.engine, "exported file") for each in lines}
    write_json(output / "benchmark.json", {**about, "engines": named, "measured": rows})
    draw(output / "benchmark.png", lines, title=bundle, note=_said(shape, batch))


def draw(path: Path, lines: Sequence[Measured], *, title: str, note: str) -> None:
    """Draw time of one image and throughput as bars with standard deviations."""
    names = [each.engine for each in lines]
    colours = [GREY if each.engine == BASELINE else BLUE for each in lines]
    panels = (
        (
            "One image, ms (less is better)",
            [(each.one_image_ms, each.one_image_ms_sd, each.speed_up_one_image) for each in lines],
        ),
        (
            "Images a second in batches (more is better)",
            [
                (each.images_per_second, each.images_per_second_sd, each.speed_up_batches)
                for each in lines
            ],
        ),
    )
    with picture_file(path, (11, 1.6 + 0.5 * len(lines))) as picture:
        axes = picture.subplots(1, 2, sharey=True)
        for panel, (label, values) in zip(axes, panels, strict=True):
            means = [mean for mean, _, _ in values]
            panel.barh(
                names, means, xerr=[sd for _, sd, _ in values], color=colours, ecolor=VERMILION
            )
            plain_axes(panel, label, "")
            panel.invert_yaxis() if panel is axes[0] else None
            reach = max(mean + sd for mean, sd, _ in values)
            panel.set_xlim(0, 1.18 * reach)
            for place, (mean, sd, speed_up) in enumerate(values):
                panel.text(
                    mean + sd + 0.015 * reach, place, f"{speed_up:.1f}x", va="center", fontsize=9
                )
        picture.suptitle(title)
        picture.supxlabel(note, fontsize=8, color=GREY)
