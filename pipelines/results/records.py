"""Records as JSON objects, the same wherever they stand: in a file of a batch, or in an answer."""

from dataclasses import asdict

from pipelines.predictions import Prediction, Segmentation
from pipelines.table_cells import encodable


def record_json(record: Prediction) -> dict[str, object]:
    """Return a record as `predictions.json` holds it.

    Args:
        record: Of any task.

    Returns:
        Its fields by name. Of a segmentation run lengths are left out: they stand in
        `predictions.csv` and would be most of the file.
    """
    fields: dict[str, object] = asdict(record) | {"filename": encodable(record.filename)}
    if isinstance(record, Segmentation):
        fields["regions"] = [
            {name: value for name, value in asdict(region).items() if name != "rle"}
            for region in record.regions
        ]
    return fields
