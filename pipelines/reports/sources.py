"""The tables and JSON files of a folder, as far as they are there and can be read."""

import csv
import json
import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, str]

_log = logging.getLogger(__name__)


class Sources:
    """What a report is made from; a file that is missing is empty, and so is one that is broken.

    Args:
        folder: Of a run, an evaluation or a prediction.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, name: str) -> list[Row]:
        """Read a table.

        Args:
            name: Of a CSV file in the folder.

        Returns:
            A mapping a row; cells that a short row lacks are empty.
        """
        path = self.folder / name
        if not path.is_file():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as table:
                return list(csv.DictReader(table, restval=""))
        except (OSError, ValueError, csv.Error) as error:
            _log.warning("the report goes without %s: %s", name, error)
            return []

    def json(self, name: str) -> Mapping[str, Any]:
        """Read a JSON object.

        Args:
            name: Of a file in the folder.

        Returns:
            The object; empty if there is none.
        """
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            _log.warning("the report goes without %s: %s", name, error)
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """`metrics.json` of a run or an evaluation."""
        return self.json("metrics.json")

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """`summary.json` of a prediction."""
        return self.json("summary.json")
