"""Lists of inputs: a text with a path or URL a line, or a table with a column of them."""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason

STDIN = "-"
LIST_SUFFIXES = (".txt", ".csv", ".parquet")
_COLUMNS = ("path", "filename")


def is_list(source: str) -> bool:
    """Whether an input is a list of inputs and no film.

    Args:
        source: A path, or `-` for standard input.
    """
    return source == STDIN or source.lower().endswith(LIST_SUFFIXES)


def read_list(source: str) -> list[str]:
    """Read a list of inputs.

    Args:
        source: `-` for standard input, or the path of a text, CSV or Parquet file. A table has its
            paths in the column `path` or `filename`; others are left alone.

    Returns:
        Each path or URL once, in the order of the list.

    Raises:
        ConfigurationError: If the list cannot be read or lacks that column.
    """
    try:
        return list(dict.fromkeys(line for line in _lines(source) if line))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a list of films that can be read, got {type(error).__name__}; "
            "check the path",
        ) from error


def _lines(source: str) -> Iterator[str]:
    if source == STDIN:
        yield from (line.rstrip("\r\n") for line in sys.stdin)
    elif source.lower().endswith(".csv"):
        with Path(source).open(newline="", encoding="utf-8-sig") as table:
            rows = csv.DictReader(table)
            column = _column(rows.fieldnames or ())
            yield from (row[column] or "" for row in rows)
    elif source.lower().endswith(".parquet"):
        yield from _parquet(source)
    else:
        with Path(source).open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            yield from (line.rstrip("\r\n") for line in lines)


def _parquet(source: str) -> Iterator[str]:
    """Read one column of a Parquet file, a batch at a time.

    Raises:
        ConfigurationError: If the package that reads it is missing, or it is no such file.
    """
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected the package pyarrow for a Parquet file, got none; install plainfilm[parquet]",
        ) from error
    try:
        with ParquetFile(source) as table:
            column = _column(table.schema_arrow.names)
            for batch in table.iter_batches(columns=[column]):
                yield from ("" if each is None else str(each) for each in batch[0].to_pylist())
    except ArrowInvalid as error:
        raise ConfigurationError(
            Reason.CONFIGURATION, "expected a Parquet file, got content of another kind"
        ) from error


def _column(names: Iterable[str]) -> str:
    """Return the column that holds paths.

    Raises:
        ConfigurationError: If there is none.
    """
    names = list(names)
    for column in _COLUMNS:
        if column in names:
            return column
    raise ConfigurationError(
        Reason.CONFIGURATION,
        f"expected a column 'path' or 'filename' in the table of films, got {len(names)} others; "
        "rename the one that holds paths",
    )
