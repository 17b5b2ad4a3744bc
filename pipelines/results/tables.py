"""The tables a batch leaves: every input is in one of them, once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pipelines.errors import Outcome, Reason, RunError
from pipelines.evaluation.prediction_table import (
    encodable,
    prediction_columns,
    prediction_row,
    table_filename,
    table_text,
)
from pipelines.files import write_csv, write_json
from pipelines.predictions import Classification, Refusal


def write_tables(
    output: Path,
    classifications: Sequence[Classification],
    refusals: Sequence[Refusal],
    *,
    classes: Sequence[str],
    summary: Mapping[str, object],
) -> None:
    """Write `predictions.csv`, `predictions.json`, `failures.csv` and `summary.json`.

    Rows stand in order of file name and frame. The CSV tables hold file names as
    `table_filename` makes them, the JSON files as they are.

    Args:
        output: Folder to write to; made if missing.
        classifications: One record a film that was predicted.
        refusals: One record an input that was not.
        classes: Class names in order.
        summary: What stands in `summary.json` besides the counts. `inputs`, how many inputs were
            found, must be in it; bundle, version, weights hash, engine, threshold and speed are
            expected.

    Raises:
        RunError: If the counts do not add up to `inputs`, or one input stands in two rows.
    """
    counts = _count(classifications, refusals, summary)
    predicted = sorted(classifications, key=lambda record: _place(record.filename))
    refused = sorted(refusals, key=lambda record: _place(record.filename))
    write_csv(
        output / "predictions.csv", prediction_columns(classes), map(prediction_row, predicted)
    )
    write_json(
        output / "predictions.json",
        {
            "classes": list(classes),
            "predictions": [
                asdict(record) | {"filename": encodable(record.filename)} for record in predicted
            ],
        },
    )
    write_csv(
        output / "failures.csv", ["filename", "outcome", "reason", "message"], map(_row, refused)
    )
    # Last, since its being there says that the tables beside it are complete.
    write_json(
        output / "summary.json", counts | {k: v for k, v in summary.items() if k not in counts}
    )


def _count(
    classifications: Sequence[Classification],
    refusals: Sequence[Refusal],
    summary: Mapping[str, object],
) -> dict[str, object]:
    outcomes = Counter(refusal.outcome for refusal in refusals)
    inputs = summary.get("inputs")
    rows = len(classifications) + len(refusals)
    if inputs != rows:
        raise RunError(
            Reason.INTERNAL,
            f"expected predicted + skipped + failed to be the {inputs} inputs, got {rows}; "
            "report this as a fault of plainfilm",
        )
    names = {c.filename for c in classifications} | {r.filename for r in refusals}
    if len(names) != rows:
        raise RunError(
            Reason.INTERNAL,
            f"expected each input in one row, got {rows - len(names)} repeated; "
            "report this as a fault of plainfilm",
        )
    reasons = Counter(refusal.reason.value for refusal in refusals)
    return {
        "inputs": inputs,
        "predicted": len(classifications),
        "skipped": outcomes[Outcome.SKIPPED],
        "failed": outcomes[Outcome.FAILED],
        "reasons": dict(sorted(reasons.items())),
        "labels": dict(sorted(Counter(c.predicted_label for c in classifications).items())),
    }


def _row(refusal: Refusal) -> dict[str, object]:
    return {
        "filename": table_filename(refusal.filename),
        "outcome": refusal.outcome.value,
        "reason": refusal.reason.value,
        "message": table_text(refusal.message),
    }


def _place(filename: str) -> tuple[str, int]:
    """Order frame 10 of a file behind its frame 2."""
    name, mark, frame = filename.rpartition("#")
    return (name, int(frame)) if mark and frame.isdecimal() else (filename, 0)
