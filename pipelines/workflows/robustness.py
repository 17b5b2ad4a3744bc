"""Evaluations under shifts of the films' look: a table, or an operating point that holds up."""

import json
import logging
import shutil
from typing import Any

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.guard import FILE_NAME
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.robustness import (
    RobustnessTable,
    format_robustness,
    measure_robustness,
    write_robustness,
    write_robustness_table,
)
from pipelines.evaluation.trained_on import FILE_NAME as TRAINED_ON
from pipelines.files import whole_file, write_json
from pipelines.transforms.shifts import Choice, Setting, settings_of
from pipelines.workflows.outcome import Outcome
from pipelines.workflows.shifted import shifted_cases

logger = logging.getLogger(__name__)


class Robustness:
    """Measures weights on films whose look is shifted.

    Args:
        outcome: The evaluation of the weights on the films as they are.
        shifts: Which shifts, as `settings_of` takes them; None takes all.

    Raises:
        ConfigurationError: If no shift is named.
    """

    def __init__(self, outcome: Outcome, *, shifts: Choice | None = None) -> None:
        self.outcome = outcome
        self.settings = settings_of(True if shifts is None else shifts)
        if not self.settings:
            raise ConfigurationError(
                Reason.CONFIGURATION, "expected at least one shift, got none; null takes all"
            )

    def measure(self) -> None:
        """Evaluate the weights as they are, and write what shifts make of the figures."""
        cases = self.outcome.cases()
        shifted = shifted_cases(self.outcome.evaluator, cases, self.settings)
        self._write(cases, shifted, self.outcome.given_point(), {})

    def choose_point(self) -> None:
        """Choose the operating point of given weights anew, on films and their shifted copies.

        The run folder then holds weights, guard and operating point, to be used as they are, and
        the tables of both operating points.

        Raises:
            ConfigurationError: If the films are not those of the validation split, or trained the
                weights, or criterion and target do not go together.
        """
        self._require_validation()
        self.outcome.check_choice()
        before = self.outcome.given_point()
        cases = self.outcome.cases()
        shifted = shifted_cases(self.outcome.evaluator, cases, self.settings)
        point = self.outcome.choose_point(cases, shifted)
        folder, weights = self.outcome.folder, self.outcome.given_weights()
        for name in ("model.pt", FILE_NAME, TRAINED_ON):
            source = weights if name == "model.pt" else weights.parent / name
            if source.is_file():
                with whole_file(folder / name) as temporary:
                    shutil.copyfile(source, temporary)
        point.save(folder / "operating_point.json")
        old = self._table(cases, shifted, before)
        write_robustness_table(folder / "robustness_before.csv", old)
        self._write(cases, shifted, point, {"before": _told(before, old)})

    def _require_validation(self) -> None:
        """Refuse films on which no operating point may be chosen.

        Raises:
            ConfigurationError: If they are of another split, or trained the weights.
        """
        if self.outcome.split != "val":
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected validation films to choose an operating point on, got split="
                f"{self.outcome.split}; set split=val",
            )
        seen = self.outcome.facts(self.outcome.given_weights()).seen
        # That weights and point were chosen on these films before is what validation films are for.
        if seen is not None and seen.trained_on:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected films that did not train the weights to choose an operating point on, "
                f"got {seen.trained_on} of {seen.films} that did; use the data that they were "
                "trained with, split in the same way",
            )

    def _table(
        self, cases: Cases, shifted: dict[Setting, Cases], point: OperatingPoint
    ) -> RobustnessTable:
        outcome = self.outcome
        return measure_robustness(
            cases, shifted, point, split=outcome.split_name, seed=outcome.seed
        )

    def _write(
        self,
        cases: Cases,
        shifted: dict[Setting, Cases],
        point: OperatingPoint,
        more: dict[str, Any],
    ) -> None:
        table = self._table(cases, shifted, point)
        folder = self.outcome.folder
        write_robustness(folder, table)
        self.outcome.write(cases, point, self.outcome.given_weights())
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        write_json(folder / "metrics.json", metrics | {"robustness": table.summary() | more})
        self.outcome.draw_report("evaluation under shifts", cases.filenames)
        logger.info("%s", format_robustness(table))
        for name, told in more.items():
            logger.info("%s: %s", name, told)


def _told(point: OperatingPoint, table: RobustnessTable) -> dict[str, object]:
    return {
        "threshold": point.threshold,
        "temperature": point.temperature,
        "bias": point.bias,
        "metrics": table.summary()["metrics"],
    }
