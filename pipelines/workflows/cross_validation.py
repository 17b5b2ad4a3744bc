"""The verb `cross-validate`: a run for each fold, then the figures of all of them together."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cross_validation import (
    CrossValidation,
    FoldResult,
    cross_validation_of,
    format_cross_validation,
    write_cross_validation,
)
from pipelines.evaluation.recorded import read_films
from pipelines.files import write_json, write_text
from pipelines.reports.page import draw_report
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.finished_run import METRICS
from pipelines.workflows.pairing import patients_of
from pipelines.workflows.run import open_dataset, train

logger = logging.getLogger(__name__)

_SETTINGS = "settings.json"


def cross_validate(
    bundle: Bundle,
    *,
    data: Path,
    output_dir: Path,
    folds: int,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> CrossValidation:
    """Train a bundle once for each fold and measure it on the films that each has not seen.

    Every fold is a run folder of its own, `fold-0` and so on. The same call goes on after a kill,
    within the fold that was interrupted.

    Args:
        bundle: What to train; its data set takes `fold` and `folds`.
        data: Folder or datalist file of the films.
        output_dir: Folder for the folds and the figures.
        folds: Number of folds, two or more.
        overlays: Names or paths of configurations merged after `train.json`.
        overrides: Values by key, set last.

    Returns:
        The figures.
    """
    given = dict(overrides or {}) | {"data::folds": folds}
    settings = {"bundle": bundle.name, "overlays": list(overlays), "overrides": given}
    _refuse_others(output_dir, settings)
    films = _check_folds(bundle, data, overlays=overlays, overrides=given)
    _refuse_others(output_dir, settings | {"films": films})
    write_json(output_dir / _SETTINGS, settings | {"films": films})
    results = []
    for fold in range(folds):
        folder = output_dir / f"fold-{fold}"
        if not (folder / METRICS).is_file():
            logger.info("fold %d of %d", fold + 1, folds)
            own = {**given, "data::fold": fold}
            train(bundle, data=data, output_dir=folder, overlays=overlays, overrides=own)
        results.append(_read_fold(folder))
    found = cross_validation_of(results, seed=_seed(output_dir / "fold-0"))
    write_cross_validation(output_dir, found)
    write_text(output_dir / "cross_validation.txt", format_cross_validation(found) + "\n")
    write_json(output_dir / METRICS, _metrics(found))
    draw_report(output_dir, title=bundle.name, kind=f"cross-validation, {folds} folds")
    return found


def _refuse_others(output_dir: Path, settings: Mapping[str, object]) -> None:
    """Refuse a folder that holds folds of other settings, or of other films.

    Raises:
        ConfigurationError: If it does.
    """
    path = output_dir / _SETTINGS
    if not path.is_file():
        return
    kept = _read(path)
    asked = json.loads(json.dumps(settings))
    differing = [name for name, value in asked.items() if kept.get(name) != value]
    if differing:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the settings of the cross-validation in '{output_dir.name}', got other "
            f"{', '.join(differing)}; name another output, or give the same to go on",
        )


def _check_folds(
    bundle: Bundle, data: Path, *, overlays: Sequence[str], overrides: Mapping[str, object]
) -> str:
    """Split the films into every fold, so that a class too rare for one is known at once.

    Returns:
        A fingerprint of the films.
    """
    found = ""
    # Even a number of folds that is too small is refused by the first one.
    for fold in range(max(1, int(str(overrides["data::folds"])))):
        own = {**overrides, "data::fold": fold}
        datalist = open_dataset(bundle, data=data, overlays=overlays, overrides=own).datalist
        logger.info("fold %d: %d films", fold, len(datalist.val))
        found = datalist.fingerprint()
    return found


def _read_fold(folder: Path) -> FoldResult:
    films = list(read_films(folder).values())
    patients = patients_of(folder / "datalist.json")
    groups = [patients.get(row["filename"], row["filename"]) for row in films]
    return FoldResult(folder.name, films, groups, _read(folder / METRICS))


def _metrics(found: CrossValidation) -> dict[str, object]:
    first = found.folds[0].metrics
    shared = ("classes", "positive_classes", "criterion", "target")
    return {
        "split": "out of fold",
        "n": len(found.films),
        "n_groups": found.n_groups,
        **{key: first[key] for key in shared if key in first},
        "interval": first.get("interval"),
        "metrics": {name: asdict(figure) for name, figure in found.pooled.items()},
        "mean": {
            name: {"value": value, "deviation": deviation}
            for name, (value, deviation) in found.mean().items()
        },
        "folds": {
            fold.name: {"n": len(fold.films), "metrics": fold.metrics.get("metrics")}
            for fold in found.folds
        },
    }


def _seed(folder: Path) -> int:
    seed = _read(folder / "environment.json").get("seed", 0)
    return seed if isinstance(seed, int) else 0


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
