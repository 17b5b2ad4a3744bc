"""A row of a table of anomalies, of an evaluation and of a prediction."""

from pipelines.table_cells import table_filename, table_number

COLUMNS = ("filename", "anomaly_score", "anomalous", "out_of_distribution")
"""First columns of every table with a row a film."""


def anomaly_cells(
    filename: str, score: float, *, anomalous: bool, out_of_distribution: bool | None
) -> dict[str, object]:
    """Return the cells of `COLUMNS` for one film.

    Args:
        filename: Path relative to the input folder.
        score: The anomaly score.
        anomalous: Whether it reaches the threshold.
        out_of_distribution: Whether the film does not belong; None leaves the cell empty.
    """
    unlike = "" if out_of_distribution is None else str(out_of_distribution).lower()
    values = (table_filename(filename), table_number(score), str(anomalous).lower(), unlike)
    return dict(zip(COLUMNS, values, strict=True))
