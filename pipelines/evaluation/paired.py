"""Runs against each other on the same films: every difference with its interval, and tests.

Two intervals that overlap say little about a difference: what is hard for one run is hard for the
other. So each resample of the patients is drawn once for all runs, and differences are taken within
it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from pipelines.evaluation.bootstrap import Statistic, bootstrap_values, interval_of
from pipelines.evaluation.cases import Floats
from pipelines.evaluation.delong import compare_aurocs
from pipelines.evaluation.figures import Figure
from pipelines.evaluation.mcnemar import compare_decisions
from pipelines.evaluation.questions import Booleans
from pipelines.files import write_csv
from pipelines.table_cells import table_name

TABLE = "comparison_pairs.csv"

_MOST_LINES = 12


@dataclass(frozen=True, slots=True, eq=False)
class PairedRun:
    """What a run said of the films that all compared runs were evaluated on, in one order.

    Attributes:
        name: What it is called in tables.
        statistic: Its figures for weights of the films.
        truth: (n,), whether a film is positive; None where there is no such question.
        score: (n,), what `auroc` is of; None likewise.
        auroc: Name of the figure that is the AUROC of this score.
        right: (n,), whether it decided right; None where nothing is decided.
    """

    name: str
    statistic: Statistic = field(repr=False)
    truth: Booleans | None = None
    score: Floats | None = None
    auroc: str = "auroc"
    right: Booleans | None = None


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """One figure of a run less that of another one.

    Attributes:
        run: Name of the run.
        compared_with: Name of the other one.
        metric: Name of the figure.
        difference: With its 95 % interval by the paired bootstrap.
        p: Of the test that there is no difference; None where none is made.
        p_holm: The same, for all pairs of runs together (Holm 1979).
        test: What test it is.
    """

    run: str
    compared_with: str
    metric: str
    difference: Figure
    p: float | None = None
    p_holm: float | None = None
    test: str = ""


def compare_pairs(
    runs: Sequence[PairedRun], groups: Sequence[str], *, resamples: int = 2000, seed: int = 0
) -> list[PairedDifference]:
    """Compare every run with each that stands before it.

    Args:
        runs: Of the same films in the same order.
        groups: Patient of each film.
        resamples: Of the bootstrap by patient.
        seed: Of the bootstrap.

    Returns:
        A difference for each pair and figure that both have.
    """

    def statistic(weights: Floats) -> Mapping[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                f"{place} {name}": values
                for place, run in enumerate(runs)
                for name, values in run.statistic(weights).items()
            }

    whole = statistic(np.ones((1, len(groups))))
    drawn = bootstrap_values(statistic, groups, resamples=resamples, seed=seed)
    one_patient = len(set(groups)) == 1
    found = []
    for one, other in combinations(range(len(runs)), 2):
        tests = _tests(runs[one], runs[other], groups)
        for name in [key.partition(" ")[2] for key in whole if key.startswith(f"{other} ")]:
            keys = (f"{one} {name}", f"{other} {name}")
            if keys[0] not in whole:
                continue
            value = float(whole[keys[1]][0] - whole[keys[0]][0])
            interval = None if one_patient else interval_of(drawn[keys[1]] - drawn[keys[0]])
            p, test = tests.get(name, (None, ""))
            found.append(
                PairedDifference(
                    run=runs[other].name,
                    compared_with=runs[one].name,
                    metric=name,
                    difference=Figure.of(value, interval),
                    p=p,
                    test=test,
                )
            )
    return _with_holm(found)


def format_pairs(pairs: Sequence[PairedDifference], *, shown: Mapping[str, str]) -> str:
    """Lay differences out as text, a line a pair.

    Args:
        pairs: The differences.
        shown: The figures to show, by name with their titles.

    Returns:
        Lines without a line end at the end; of many pairs the first ones, and how many more.
    """
    lines: dict[tuple[str, str], list[str]] = {}
    for each in pairs:
        if each.metric in shown:
            said = f"{shown[each.metric]} {_difference(each.difference)}"
            if each.p is not None:
                said += f" p {each.p:.2g}"
            lines.setdefault((each.run, each.compared_with), []).append(said)
    tests = "; ".join(
        dict.fromkeys(f"{shown.get(e.metric, e.metric)}: {e.test}" for e in pairs if e.test)
    )
    told = [f"{run} less {other}: " + ", ".join(said) for (run, other), said in lines.items()]
    if len(told) > _MOST_LINES:
        told = [*told[:_MOST_LINES], f"and {len(told) - _MOST_LINES} more pairs in {TABLE}"]
    head = "differences on the same films, 95 % intervals by paired bootstrap over patients"
    return "\n".join([head, *told, *([f"p: {tests}"] if tests else [])])


def write_pairs(output_dir: Path, pairs: Sequence[PairedDifference]) -> None:
    """Write `comparison_pairs.csv`, a row a pair and figure.

    Args:
        output_dir: Folder to write to.
        pairs: The differences.
    """
    columns = ["run", "compared_with", "metric", "difference", "ci_low", "ci_high"]
    write_csv(output_dir / TABLE, [*columns, "p", "p_holm", "test"], _rows(pairs))


def _rows(pairs: Sequence[PairedDifference]) -> Iterator[dict[str, object]]:
    for each in pairs:
        yield {
            "run": table_name(each.run),
            "compared_with": table_name(each.compared_with),
            "metric": each.metric,
            "difference": each.difference.value,
            "ci_low": each.difference.low,
            "ci_high": each.difference.high,
            "p": each.p,
            "p_holm": each.p_holm,
            "test": each.test,
        }


def _tests(one: PairedRun, other: PairedRun, groups: Sequence[str]) -> dict[str, tuple[float, str]]:
    """The tests that two runs allow: p and what it is of, by figure."""
    by = "by patient" if len(set(groups)) < len(groups) else "by film"
    tests = {}
    if one.truth is not None and one.score is not None and other.score is not None:
        aurocs = compare_aurocs(one.truth, one.score, other.score, groups=groups)
        if aurocs is not None:
            name = "DeLong" if by == "by film" else "DeLong after Obuchowski"
            tests[one.auroc] = (aurocs.p, f"{name}, {by}")
    if one.right is not None and other.right is not None:
        decisions = compare_decisions(one.right, other.right, groups=groups)
        how = "exact" if decisions.exact else "chi squared"
        counted = f"{decisions.gained} films gained, {decisions.lost} lost"
        tests["accuracy"] = (decisions.p, f"McNemar, {how}, {by}, {counted}")
    return tests


def _with_holm(pairs: Sequence[PairedDifference]) -> list[PairedDifference]:
    """Adjust the tests of each figure for the number of pairs."""
    adjusted = list(pairs)
    for metric in dict.fromkeys(each.metric for each in pairs):
        tested = [(each.p, place) for place, each in enumerate(pairs) if each.metric == metric]
        ranked = sorted((p, place) for p, place in tested if p is not None)
        highest = 0.0
        for rank, (p, place) in enumerate(ranked):
            highest = min(1.0, max(highest, p * (len(ranked) - rank)))
            adjusted[place] = replace(pairs[place], p_holm=highest)
    return adjusted


def _difference(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:+.3f}"
    return f"{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})"
