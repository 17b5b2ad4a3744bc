"""What the leak check found, as a short table, as `leakage.csv` and as a refusal."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from pipelines.datasets.leak_kinds import LeakKind
from pipelines.datasets.leakage import Finding, Severity
from pipelines.errors import ConfigurationError, DatasetError, Reason
from pipelines.files import write_csv
from pipelines.nearest import right_names
from pipelines.table_cells import table_filename, table_name
from pipelines.text_table import text_table

LeakPolicy: TypeAlias = Literal["refuse", "warn", "ignore"]
"""What training and evaluation do about a split that leaks."""

FILE_NAME = "leakage.csv"
PICTURE_NAME = "leakage.png"

COLUMNS = (
    "kind",
    "severity",
    "first_file",
    "second_file",
    "first_split",
    "second_split",
    "first_label",
    "second_label",
    "similarity",
)
_EXAMPLES = 3


def check_leak_policy(name: str) -> None:
    """Refuse what is no policy.

    Raises:
        ConfigurationError: With the nearest right name.
    """
    known = get_args(LeakPolicy)
    if name not in known:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"expected refuse, warn or ignore for leaks, got {name!r}{right_names(name, known)}",
        )


def leaks_of(findings: Sequence[Finding]) -> list[Finding]:
    """Return what stands on two sides of a split."""
    return [finding for finding in findings if finding.severity is Severity.LEAK]


def count_kinds(findings: Sequence[Finding]) -> dict[LeakKind, int]:
    """Count findings by kind; every kind has a number."""
    counts = Counter(finding.kind for finding in findings)
    return {kind: counts[kind] for kind in LeakKind}


def format_leaks(findings: Sequence[Finding]) -> str:
    """Give a table with a row for each kind that was found: how many, and across which splits."""
    if not findings:
        return "leak check: nothing found"
    rows = [("leak check", "found", "across splits", "such as")]
    for kind in LeakKind:
        of_kind = [finding for finding in findings if finding.kind is kind]
        if of_kind:
            rows.append((kind, str(len(of_kind)), _across(of_kind), _shown(of_kind[0])))
    return text_table(rows)


def write_leaks(path: Path, findings: Sequence[Finding]) -> None:
    """Write `leakage.csv`, a row a finding."""
    write_csv(path, COLUMNS, [_row(finding) for finding in findings])


def describe_leaks(findings: Sequence[Finding]) -> str:
    """Say in a few lines that a split leaks, by how much, with which films, and what to do."""
    leaks = leaks_of(findings)
    counts = ", ".join(f"{count} {kind}" for kind, count in count_kinds(leaks).items() if count)
    lines = [
        f"expected no film on two sides of a split, got {len(leaks)} ({counts}; {_across(leaks)}); "
        "run `plainfilm datalist LAYOUT DIR --fix drop` (or group) and use the list it writes, or "
        "set data::leaks to warn",
        *(f"  {_shown(leak)}" for leak in leaks[:_EXAMPLES]),
    ]
    if len(leaks) > _EXAMPLES:
        lines.append(f"  and {len(leaks) - _EXAMPLES} more")
    return "\n".join(lines)


def refuse_leaks(findings: Sequence[Finding]) -> None:
    """Refuse a split that leaks.

    Raises:
        DatasetError: DATA_LEAK, with counts, some films and what to do.
    """
    if leaks_of(findings):
        raise DatasetError(Reason.DATA_LEAK, describe_leaks(findings))


def _across(findings: Sequence[Finding]) -> str:
    counts = Counter(
        f"{finding.first.split}/{finding.second.split}" for finding in leaks_of(findings)
    )
    return ", ".join(f"{splits} {count}" for splits, count in counts.items())


def _shown(finding: Finding) -> str:
    first = finding.first
    if finding.kind is LeakKind.EMPTY_CLASS and not first.file:
        return f"{first.label} in {first.split}" if first.split else first.label
    sign = {LeakKind.BYTE_COPY: " = ", LeakKind.NEAR_COPY: " ~ "}.get(finding.kind, " and ")
    return f"{first.file}{sign}{finding.second.file}" if finding.second.file else first.file


def _row(finding: Finding) -> dict[str, object]:
    first, second = finding.first, finding.second
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "first_file": table_filename(first.file),
        "second_file": table_filename(second.file),
        "first_split": first.split,
        "second_split": second.split,
        "first_label": table_name(first.label),
        "second_label": table_name(second.label),
        "similarity": "" if finding.similarity is None else f"{finding.similarity:.3f}",
    }
