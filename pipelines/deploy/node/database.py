"""What the node knows, in SQLite: a commit has reached the disk when it returns."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigurationError, Reason

VERSION = 1

_SCHEMA = """
CREATE TABLE film (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE,
    pixels TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    kind TEXT NOT NULL,
    modality TEXT NOT NULL,
    body_part TEXT NOT NULL,
    view_position TEXT NOT NULL,
    calling_ae TEXT NOT NULL,
    received REAL NOT NULL,
    changed REAL NOT NULL,
    state TEXT NOT NULL,
    rule TEXT,
    starts INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    message TEXT
) STRICT;
CREATE INDEX film_by_state ON film (state, rule, seq);
CREATE TABLE delivery (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    film TEXT NOT NULL REFERENCES film (id) ON DELETE CASCADE,
    file TEXT NOT NULL,
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    reason TEXT,
    UNIQUE (film, file, destination)
) STRICT;
CREATE INDEX delivery_by_state ON delivery (destination, state, due);
CREATE TABLE made (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


class Database:
    """One SQLite file, used by all threads of one process.

    Write-ahead log and `synchronous=FULL`: what was committed survives a power cut.

    Args:
        path: The file; made if missing.

    Raises:
        ConfigurationError: If it was made by another version of plainfilm.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;"
            )
        elif found != VERSION:
            self._connection.close()
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a data_dir of version {VERSION}, got one of version {found}; "
                "use the plainfilm that made it until it is empty, or name another data_dir",
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do several things at once or none of them.

        Yields:
            The connection; the block's changes are on the disk when it has ended well.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.rollback()
                raise
            self._connection.commit()

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Return what a question finds.

        Args:
            statement: A SELECT.
            values: What its `?` stand for.
        """
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file; what is committed stays."""
        with self._lock:
            self._connection.close()


def only(rows: list[sqlite3.Row]) -> Any:
    """Return the one value that a question asked for."""
    return rows[0][0]
