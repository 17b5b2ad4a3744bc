"""The tables a batch leaves: every input is in one of them, once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import Outcome, Reason, RunError
from pipelines.evaluation.prediction_table import prediction_columns, prediction_row
from pipelines.files import write_csv, write_json, write_json_with_list
from pipelines.predictions import Classification, Prediction, Refusal
from pipelines.results.records import record_json
from pipelines.results.rows import Names, in_rows
from pipelines.table_cells import table_filename, table_number, table_text

GUARD_COLUMNS = ("out_of_distribution",)
"""Last columns of every table that has a row a film."""

_OPTIONAL = ("region", "explanation_agreement")


def write_batch(
    output: Path,
    predictions: Sequence[Prediction],
    refusals: Sequence[Refusal],
    *,
    tables: Callable[[Path, Sequence[Any]], Mapping[str, object]],
    summary: Mapping[str, object],
) -> None:
    """Write the tables of predictions, `failures.csv` and `summary.json`.

    Rows stand in order of file name and frame. The CSV tables hold file names as
    `table_filename` makes them, the JSON files as they are.

    Args:
        output: Folder to write to; made if missing.
        predictions: One record a film that was predicted.
        refusals: One record an input that was not.
        tables: Writes the tables of predictions and returns what `summary.json` says about them.
        summary: What stands in `summary.json` besides the counts. `inputs`, how many inputs were
            found, must be in it; bundle, version, weights hash, engine, threshold and speed are
            expected.

    Raises:
        RunError: If the counts do not add up to `inputs`, or one input stands in two rows.
    """
    counts = _count(predictions, refusals, summary)
    counts |= tables(output, in_rows(predictions))
    write_csv(
        output / "failures.csv",
        ["filename", "outcome", "reason", "message"],
        map(_row, in_rows(refusals)),
    )
    # Last, since its being there says that the tables beside it are complete.
    write_json(
        output / "summary.json", counts | {k: v for k, v in summary.items() if k not in counts}
    )


def write_classifications(
    output: Path, classifications: Sequence[Classification], *, classes: Sequence[str]
) -> Mapping[str, object]:
    """Write `predictions.csv` and `predictions.json` of a classifier.

    Args:
        output: Folder to write to; made if missing.
        classifications: In the order of the rows.
        classes: Class names in order.

    Returns:
        `labels`: how many films of each predicted label there are; `regions`, where regions were
        looked for: how many films of each outcome.
    """
    labels: Counter[str] = Counter()
    regions: Counter[str] = Counter()
    there: set[str] = set()
    for record in classifications:
        labels[record.predicted_label] += 1
        there |= {name for name in _OPTIONAL if getattr(record, name) is not None}
        if record.region is not None:
            regions[record.region] += 1
    optional = [name for name in _OPTIONAL if name in there]
    write_csv(
        output / "predictions.csv",
        [*prediction_columns(classes), *GUARD_COLUMNS, *optional],
        (
            prediction_row(record)
            | guard_cells(record)
            | {name: _optional_cell(getattr(record, name)) for name in optional}
            for record in classifications
        ),
    )
    write_json_with_list(
        output / "predictions.json",
        {"classes": list(classes)},
        "predictions",
        map(record_json, classifications),
    )
    counts = {"labels": dict(sorted(labels.items()))}
    return counts | ({"regions": dict(sorted(regions.items()))} if regions else {})


def _optional_cell(value: str | float | None) -> str | float:
    if value is None:
        return ""
    return table_number(value) if isinstance(value, float) else value


def guard_cells(record: Prediction) -> dict[str, object]:
    """Return the cells of `GUARD_COLUMNS`; empty where the bundle has no guard."""
    flag = record.out_of_distribution
    return {"out_of_distribution": "" if flag is None else str(flag).lower()}


def _count(
    predictions: Sequence[Prediction],
    refusals: Sequence[Refusal],
    summary: Mapping[str, object],
) -> dict[str, object]:
    inputs = summary.get("inputs")
    rows = len(predictions) + len(refusals)
    if inputs != rows:
        raise RunError(
            Reason.INTERNAL,
            f"expected predicted + skipped + failed to be the {inputs} inputs, got {rows}; "
            "report this as a fault of plainfilm",
        )
    names = Names(rows)
    reasons: Counter[Reason] = Counter()
    unlike: Counter[bool | None] = Counter()
    for prediction in predictions:
        names.add(prediction.filename)
        unlike[prediction.out_of_distribution] += 1
    for refusal in refusals:
        names.add(refusal.filename)
        reasons[refusal.reason] += 1
    if names.repeated():
        raise RunError(
            Reason.INTERNAL,
            f"expected each input in one row, got {names.repeated()} repeated; "
            "report this as a fault of plainfilm",
        )
    outcomes: Counter[Outcome] = Counter()
    for reason, times in reasons.items():
        outcomes[reason.outcome] += times
    return {
        "inputs": inputs,
        "predicted": len(predictions),
        "skipped": outcomes[Outcome.SKIPPED],
        "failed": outcomes[Outcome.FAILED],
        "reasons": dict(sorted((reason.value, times) for reason, times in reasons.items())),
        "out_of_distribution": unlike[True] if unlike[True] + unlike[False] else None,
    }


def _row(refusal: Refusal) -> dict[str, object]:
    return {
        "filename": table_filename(refusal.filename),
        "outcome": refusal.outcome.value,
        "reason": refusal.reason.value,
        "message": table_text(refusal.message),
    }
