"""The rows of a report: every input once, whatever the task, those that need a look first."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from pipelines.reports.sources import Row, Sources

Value: TypeAlias = str | float | int | bool | None


class State(StrEnum):
    """What became of an input."""

    RIGHT = "right"
    WRONG = "wrong"
    PREDICTED = "predicted"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of cases.

    Attributes:
        key: Its name.
        title: Its title for people.
        kind: How it is shown and sorted; a `label` can be chosen by its values.
        shown: Whether it stands in the table, or only where a case is opened.
    """

    key: str
    title: str
    kind: Literal["text", "label", "number", "count", "share", "flag"] = "text"
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """An input.

    Attributes:
        filename: As the tables have it.
        state: What became of it.
        flagged: Whether it is unlike the training films; None where nothing says so.
        urgency: The higher, the sooner it should be looked at, among those of its state.
        values: What else is known, by the keys of columns.
    """

    filename: str
    state: State
    flagged: bool | None = None
    urgency: float = 0.0
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseTable:
    """All cases of a folder.

    Attributes:
        columns: Of the values of cases, in their order.
        cases: Those that need a look first.
        meaning: What this order is.
    """

    columns: tuple[Column, ...]
    cases: tuple[Case, ...]
    meaning: str


def read_cases(sources: Sources) -> CaseTable:
    """Read the cases of a folder from its tables.

    Args:
        sources: The folder's files.

    Returns:
        The table; without cases if the folder holds none that are known here.
    """
    for name, needed, read in _READERS:
        rows = sources.rows(name)
        if rows and needed in rows[0]:
            columns, cases, meaning = read(rows)
            break
    else:
        columns, cases, meaning = [], [], ""
    refused = [_refused(row) for row in sources.rows("failures.csv")]
    if refused:
        columns = [
            *columns,
            Column("reason", "Reason", "label", shown=False),
            Column("message", "Message", shown=False),
        ]
    ordered = sorted([*cases, *refused], key=_place)
    return CaseTable(tuple(columns), tuple(ordered), meaning)


_AGREEMENT = "explanation_agreement"
_Read: TypeAlias = tuple[list[Column], list[Case], str]


def _place(case: Case) -> tuple[int, float]:
    # Skipped files are no films as a rule, so that nobody misses them.
    ranks = {State.FAILED: 0, State.WRONG: 1, State.SKIPPED: 4}
    return ranks.get(case.state, 2 if case.flagged else 3), -case.urgency


def _refused(row: Row) -> Case:
    state = State.SKIPPED if row.get("outcome") == State.SKIPPED else State.FAILED
    reason = row.get("reason", "").replace("_", " ")
    values = {"reason": reason, "message": row.get("message", "")}
    return Case(row.get("filename", ""), state, values=values)


def _classified(rows: Sequence[Row]) -> _Read:
    labelled = "label" in rows[0]
    probabilities = [name for name in rows[0] if name.startswith("prob_")]
    two = len(probabilities) == 2  # noqa: PLR2004 - the second class is the positive one
    columns = [
        *([Column("label", "True class", "label")] if labelled else []),
        Column("predicted_label", "Predicted class", "label"),
        Column("confidence", "Confidence", "share", not two),
        *(
            Column(
                name,
                f"Probability of {name.removeprefix('prob_')}",
                "share",
                two and name == probabilities[-1],
            )
            for name in probabilities
        ),
        *([Column("region", "Region", "label", shown=False)] if "region" in rows[0] else []),
        *([Column(_AGREEMENT, "Explanations agree", "number")] if _AGREEMENT in rows[0] else []),
    ]
    cases = []
    for row in rows:
        confidence = _number(row.get("confidence"))
        state = State.PREDICTED
        if labelled:
            state = State.RIGHT if row["label"] == row["predicted_label"] else State.WRONG
        sure = confidence or 0.0
        values: dict[str, Value] = {name: _number(row[name]) for name in probabilities}
        values |= {key: row.get(key, "") for key in ("label", "predicted_label", "region")}
        values[_AGREEMENT] = _number(row.get(_AGREEMENT))
        cases.append(
            Case(
                row["filename"],
                state,
                _flag(row.get("out_of_distribution")),
                # A sure error is worse than an unsure one; elsewhere doubt is what needs a look.
                sure if state is State.WRONG else 1 - sure,
                values | {"confidence": confidence},
            )
        )
    said = "wrong ones, the surest first; then " if labelled else ""
    return columns, cases, f"{said}those unlike the training films; then the least sure"


def _scored(rows: Sequence[Row]) -> _Read:
    labelled = "label" in rows[0]
    known = {"filename", "label", "anomaly_score", "anomalous", "out_of_distribution"}
    measures = [name for name in rows[0] if name not in known]
    columns = [
        *([Column("label", "True class", "label")] if labelled else []),
        Column("found", "Found", "label"),
        Column("anomaly_score", "Anomaly score", "number"),
        *(Column(name, name.replace("_", " "), "number", shown=False) for name in measures),
    ]
    cases = []
    for row in rows:
        score = _number(row["anomaly_score"])
        found = "anomalous" if row.get("anomalous") == "true" else "normal"
        state = State.PREDICTED
        if labelled:
            state = (
                State.RIGHT
                if (row["label"] == "anomalous") == (found == "anomalous")
                else (State.WRONG)
            )
        values: dict[str, Value] = {name: _number(row[name]) for name in measures}
        values |= {"label": row.get("label", ""), "found": found, "anomaly_score": score}
        flag = _flag(row.get("out_of_distribution"))
        cases.append(Case(row["filename"], state, flag, score or 0.0, values))
    said = "wrong ones first; then " if labelled else ""
    return columns, cases, f"{said}those that do not belong; each by falling anomaly score"


def _outlined(rows: Sequence[Row]) -> _Read:
    """One film is as many rows as structures."""
    films: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        films[row["filename"]].append(row)
    columns = [
        Column("found", "Structures found", "count"),
        Column("missing", "Not found"),
        Column("pieces", "In more than one piece"),
    ]
    cases = []
    for filename, structures in films.items():
        found = [each for each in structures if each.get("found") == "true"]
        missing = [each["class"] for each in structures if each.get("found") != "true"]
        broken = [each["class"] for each in found if each.get("components", "1") != "1"]
        values: dict[str, Value] = {
            "found": len(found),
            "missing": ", ".join(missing),
            "pieces": ", ".join(broken),
        }
        flag = _flag(structures[0].get("out_of_distribution"))
        urgency = len(missing) + len(broken) / 100
        cases.append(Case(filename, State.PREDICTED, flag, urgency, values))
    meaning = "those unlike the training films; then those on which most structures are missing"
    return columns, cases, meaning


def _compared(rows: Sequence[Row]) -> _Read:
    structures = [name for name in rows[0] if name.startswith("dice_")]
    columns = [
        Column("dice", "Mean Dice", "number"),
        *(
            Column(name, name.replace("_", " "), "number", shown=name == "surface_dice")
            for name in rows[0]
            if name not in {"filename", "dice", "missed", "invented", "lowest", *structures}
        ),
        Column("lowest", "Lowest structure", "label"),
        Column("missed", "Missed", "count"),
        Column("invented", "Invented", "count"),
        *(
            Column(name, f"Dice {name.removeprefix('dice_')}", "number", shown=False)
            for name in structures
        ),
    ]
    numbers = [column.key for column in columns if column.kind in {"number", "count"}]
    cases = []
    for row in rows:
        values: dict[str, Value] = {name: _number(row[name]) for name in numbers}
        values["lowest"] = row.get("lowest", "")
        dice = _number(row["dice"])
        cases.append(Case(row["filename"], State.PREDICTED, None, -(dice or 0.0), values))
    return columns, cases, "those with the lowest mean Dice"


_READERS: Sequence[tuple[str, str, Callable[[Sequence[Row]], _Read]]] = (
    ("cases.csv", "dice", _compared),
    ("measurements.csv", "area_px", _outlined),
    ("predictions.csv", "predicted_label", _classified),
    ("predictions.csv", "anomaly_score", _scored),
)
"""The table that holds a task's cases, a column that tells it, and how it is read."""


def states_of(cases: Sequence[Case]) -> Iterator[tuple[str, str]]:
    """Give the states that some case has, with titles, all of them first."""
    yield "all", "All"
    here = {case.state for case in cases}
    if len(here) > 1:
        yield from ((state.value, state.value.capitalize()) for state in State if state in here)
    if any(case.flagged for case in cases):
        yield "flagged", "Unlike training films"


def _number(cell: str | None) -> float | None:
    try:
        return None if cell in {None, ""} else float(cell or 0)
    except ValueError:
        return None


def _flag(cell: str | None) -> bool | None:
    return {"true": True, "false": False}.get((cell or "").lower())
