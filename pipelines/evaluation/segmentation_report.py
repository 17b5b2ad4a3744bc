"""The evaluation of a segmentation becomes files: tables for programs, pictures for people."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipelines.evaluation.cases import Integers
from pipelines.evaluation.figures import Figure
from pipelines.evaluation.segmentation import (
    MEAN,
    MeasuredFilm,
    SegmentationCases,
    SegmentationEvaluation,
    SegmentedFilm,
    evaluate_cases,
    figure_titles,
    gather_cases,
    measure_film,
)
from pipelines.evaluation.segmentation_figures import DICE_EPSILON, Tolerance
from pipelines.evaluation.segmentation_plots import draw_case, draw_structures
from pipelines.evaluation.subgroups import measure_subgroups, write_subgroups
from pipelines.evaluation.trained_on import SplitFacts
from pipelines.files import write_csv, write_json
from pipelines.table_cells import table_filename, table_number
from pipelines.unfinished import held_folder

_LOWEST = 4
_WORST = 5
_ENDS = {"": "value", "_ci_low": "low", "_ci_high": "high"}


def evaluate_segmentation(
    films: Iterable[SegmentedFilm],
    *,
    classes: Sequence[str],
    output_dir: Path,
    split: str,
    seed: int = 0,
    tolerance: Tolerance | None = None,
    facts: SplitFacts | None = None,
    threshold_origin: str = "",
) -> SegmentationEvaluation:
    """Evaluate films one at a time and write all that a reader may want to see.

    `metrics.json`, `metrics.csv` (a row a structure, and their mean), `cases.csv` (a row a film), a
    picture of Dice, surface Dice and HD95 by structure, and under `cases/` the films with the
    lowest Dice and a median one, each beside its true and its predicted outlines; with columns
    `subgroups.csv` and `subgroups.png`.

    Args:
        films: Taken one at a time; their masks are let go of at once.
        classes: Names of the structures, in the order of the masks.
        output_dir: Folder to write to; made if missing.
        split: Name of the split the films are from.
        seed: Of the bootstrap.
        tolerance: Of surface Dice; None for the default one.
        facts: What is known of the split, columns in the order of the films, and of the weights.
        threshold_origin: How the thresholds were chosen, and on what.

    Returns:
        The evaluation.
    """
    allowed = tolerance or Tolerance()
    measured = []
    output_dir.mkdir(parents=True, exist_ok=True)
    # Which films are worst, and which one is median, shows at the end, when they are gone: all are
    # drawn, on disk, and those that matter are kept.
    with held_folder(output_dir, ".drawing-") as folder:
        for number, film in enumerate(films):
            measured.append(measure_film(film, classes=classes, tolerance=allowed))
            caption = _caption(measured[-1], classes)
            draw_case(folder / f"{number}.png", film, caption=caption)
        cases = gather_cases(measured, classes=classes, tolerance=allowed)
        _keep_pictures(folder, output_dir / "cases", cases=cases)
    evaluation = replace(
        evaluate_cases(cases, split=split, seed=seed),
        facts=facts or SplitFacts(),
        threshold_origin=threshold_origin,
    )
    _write_structures(output_dir / "metrics.csv", cases, evaluation)
    _write_films(output_dir / "cases.csv", cases)
    for figure in ("dice", "surface_dice", f"hd95_{cases.unit}"):
        draw_structures(output_dir / f"{figure}.png", cases, evaluation=evaluation, figure=figure)
    _write_subgroups(output_dir, cases, evaluation=evaluation)
    # Last, since its being there says that the run has its results.
    write_json(output_dir / "metrics.json", _metrics(cases, evaluation))
    return evaluation


def _write_subgroups(
    folder: Path, cases: SegmentationCases, *, evaluation: SegmentationEvaluation
) -> None:
    """Write the means over structures of every subgroup."""
    titles = figure_titles(cases.unit, cases.tolerance)

    def measure(places: Integers) -> Mapping[str, Figure]:
        options = {"resamples": evaluation.resamples, "seed": evaluation.seed}
        return evaluate_cases(cases.take(places), split=evaluation.split, **options).figures

    write_subgroups(
        folder,
        measure_subgroups(evaluation.facts.columns, cases.groups, measure=measure),
        shown={name: titles[name] for name in ("dice", "surface_dice")},
        heading=f"Subgroups · {evaluation.split}, mean of {len(cases.classes)} structures",
        note=evaluation.note,
    )


def format_segmentation(evaluation: SegmentationEvaluation) -> str:
    """Lay an evaluation out as text for a terminal.

    Args:
        evaluation: The evaluation.

    Returns:
        A line for each structure and their mean, without a line end at the end.
    """
    titles = figure_titles(evaluation.unit, evaluation.tolerance)
    width = max(map(len, (*evaluation.classes, MEAN)))
    columns = [max(len(title), 7) for title in titles.values()]

    def line(name: str, figures: Mapping[str, Figure]) -> str:
        cells = [
            f"{'-' if figures[figure].value is None else f'{figures[figure].value:.4f}':>{room}}"
            for figure, room in zip(titles, columns, strict=True)
        ]
        return f"{name:<{width}}  {'  '.join(cells)}"

    mean = evaluation.figures["dice"]
    interval = (
        "no interval"
        if mean.low is None or mean.high is None
        else f"95 % interval {mean.low:.4f} to {mean.high:.4f}"
    )
    heads = (f"{title:>{room}}" for title, room in zip(titles.values(), columns, strict=True))
    return "\n".join(
        [
            f"{evaluation.split}: {evaluation.n} films of {evaluation.n_groups} patients",
            f"mean Dice {mean.value:.4f} ({interval})",
            evaluation.note,
            "",
            f"{'':<{width}}  {'  '.join(heads)}",
            *(line(name, evaluation.regions[name]) for name in evaluation.classes),
            line(MEAN, evaluation.figures),
        ]
    )


def _caption(film: MeasuredFilm, classes: Sequence[str]) -> tuple[str, str]:
    dices = [region.dice for region in film.regions]
    lowest = np.argsort(dices, kind="stable")[:_LOWEST]
    return (
        f"{film.filename}   mean Dice {np.mean(dices):.4f}",
        "lowest: " + ", ".join(f"{classes[place]} {dices[place]:.3f}" for place in lowest),
    )


def _keep_pictures(drawn: Path, folder: Path, *, cases: SegmentationCases) -> None:
    """Move the pictures of the worst films and of a median one out of the others."""
    order = np.argsort(cases.of_film("dice"), kind="stable").tolist()
    names = {f"worst_{place}.png": film for place, film in enumerate(order[:_WORST], start=1)}
    names["median.png"] = order[len(order) // 2]
    folder.mkdir(exist_ok=True)
    for earlier in (*folder.glob("worst_*.png"), *folder.glob("median.png")):
        earlier.unlink()
    for name, film in names.items():
        shutil.copyfile(drawn / f"{film}.png", folder / name)


def _metrics(cases: SegmentationCases, evaluation: SegmentationEvaluation) -> dict[str, object]:
    return {
        "split": evaluation.split,
        "n": evaluation.n,
        "n_groups": evaluation.n_groups,
        "classes": evaluation.classes,
        "unit": evaluation.unit,
        "threshold_origin": evaluation.threshold_origin,
        **evaluation.facts.as_json(),
        "surface_dice_tolerance": evaluation.tolerance,
        "dice_epsilon": DICE_EPSILON,
        "interval": {
            "level": 0.95,
            "method": "percentile bootstrap by patient",
            "resamples": evaluation.resamples,
            "seed": evaluation.seed,
        },
        "metrics": _as_json(evaluation.figures),
        "missed": int(cases.missed.sum()),
        "invented": int(cases.invented.sum()),
        "structures": {name: _as_json(found) for name, found in evaluation.regions.items()},
    }


def _as_json(figures: Mapping[str, Figure]) -> dict[str, dict[str, float | None]]:
    return {name: asdict(figure) for name, figure in figures.items()}


def _write_structures(
    path: Path, cases: SegmentationCases, evaluation: SegmentationEvaluation
) -> None:
    counts = zip(
        cases.missed.sum(axis=0).tolist(), cases.invented.sum(axis=0).tolist(), strict=True
    )
    rows = [
        (name, evaluation.regions[name], missed, invented)
        for name, (missed, invented) in zip(cases.classes, counts, strict=True)
    ]
    rows.append((MEAN, evaluation.figures, int(cases.missed.sum()), int(cases.invented.sum())))
    columns = [f"{name}{end}" for name in evaluation.figures for end in _ENDS]
    write_csv(
        path,
        ["class", "films", "missed", "invented", *columns],
        (
            {"class": name, "films": len(cases), "missed": missed, "invented": invented}
            | {
                f"{figure}{end}": getattr(found[figure], field)
                for figure in found
                for end, field in _ENDS.items()
            }
            for name, found, missed, invented in rows
        ),
    )


def _write_films(path: Path, cases: SegmentationCases) -> None:
    means = {name: cases.of_film(name) for name in cases.figures}
    dices = cases.figures["dice"]
    columns = [f"dice_{name}" for name in cases.classes]
    write_csv(
        path,
        ["filename", *means, "missed", "invented", "lowest", *columns],
        (
            {
                "filename": table_filename(name),
                **{figure: _cell(values[film]) for figure, values in means.items()},
                "missed": int(cases.missed[film].sum()),
                "invented": int(cases.invented[film].sum()),
                "lowest": cases.classes[int(dices[film].argmin())],
                **{c: _cell(value) for c, value in zip(columns, dices[film], strict=True)},
            }
            for film, name in enumerate(cases.filenames)
        ),
    )


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else table_number(value)
