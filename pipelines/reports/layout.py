"""Tables and nested values of any shape, laid out so that they can be read."""

from collections.abc import Sequence

from pipelines.reports.figures import number_text, title_of
from pipelines.reports.markup import Html, element, facts, joined, table
from pipelines.reports.sources import Row

ROWS = 200
"""Of a table that are shown."""

_ENDS = (("ci_low", "ci_high"), ("low", "high"))
_FIGURE = ("metric", "value", "ci_low", "ci_high", "change")


def any_table(rows: Sequence[Row]) -> Html:
    """Lay out a table; a figure and the ends of its interval become one cell.

    Args:
        rows: Of a CSV file; at most the first 200 are shown.

    Returns:
        The table.
    """
    if {"metric", "value"} <= set(rows[0]):
        return _figures_across(rows)
    columns = list(rows[0])
    ends = {name: _interval_columns(name, columns) for name in columns}
    hidden = {end for pair in ends.values() for end in pair or ()}
    shown = [name for name in columns if name not in hidden]
    made = [[_cell(row, name, ends[name]) for name in shown] for row in rows[:ROWS]]
    numbers = frozenset(
        place
        for place, name in enumerate(shown)
        if all(_as_number(row.get(name)) is not None or not row.get(name) for row in rows)
    )
    return table([title_of(name) for name in shown], made, numbers=numbers)


def _figures_across(rows: Sequence[Row]) -> Html:
    """Lay out a table with a row a figure as one with a column a figure."""
    keys = [name for name in rows[0] if name not in _FIGURE]
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        lines.setdefault(tuple(row[name] for name in keys), {})[row["metric"]] = row
    made = [
        [
            *map(_number_cell, line),
            *(_cell(found.get(name, {}), "value", ("ci_low", "ci_high")) for name in metrics),
        ]
        for line, found in list(lines.items())[:ROWS]
    ]
    counted = {
        place
        for place in range(len(keys))
        if all(_as_number(line[place]) is not None or not line[place] for line in lines)
    }
    numbers = frozenset(counted | set(range(len(keys), len(keys) + len(metrics))))
    return table([title_of(name) for name in (*keys, *metrics)], made, numbers=numbers)


def any_value(value: object, level: int = 3) -> Html:
    """Lay out nested mappings and lists: facts, tables, and headings for what is deeper.

    Args:
        value: As JSON gives it.
        level: Of the headings.

    Returns:
        The layout.
    """
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        names = list(dict.fromkeys(name for each in value for name in each))
        rows = [[plain_text(each.get(name)) for name in names] for each in value[:ROWS]]
        return table([title_of(name) for name in names], rows)
    if not isinstance(value, dict):
        return element("p", plain_text(value))
    flat = {title_of(name): plain_text(each) for name, each in value.items() if is_short(each)}
    parts = [facts(flat)] if flat else []
    for name, each in value.items():
        if not is_short(each):
            parts += [element(f"h{min(level, 6)}", title_of(name)), _of_parts(each, level)]
    return joined(parts)


def _of_parts(value: object, level: int) -> Html:
    """A mapping of mappings with the same short values is a table."""
    if isinstance(value, dict) and value and all(isinstance(each, dict) for each in value.values()):
        names = list(dict.fromkeys(name for each in value.values() for name in each))
        if all(is_short(each) for inner in value.values() for each in inner.values()):
            rows = [
                [str(name), *(plain_text(inner.get(each)) for each in names)]
                for name, inner in value.items()
            ]
            heads = ["", *map(title_of, names)]
            return table(heads, rows, numbers=frozenset(range(1, len(heads))))
    return any_value(value, level + 1)


def is_short(value: object) -> bool:
    """Whether a value fits on a line: no mapping, no long list."""
    most = 12
    if isinstance(value, list | tuple):
        return len(value) <= most and all(not isinstance(each, dict | list) for each in value)
    return not isinstance(value, dict)


def plain_text(value: object) -> str:
    """Write a value of JSON for people."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain_text, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number_text(value)


def _interval_columns(name: str, columns: Sequence[str]) -> tuple[str, str] | None:
    for low, high in _ENDS:
        for pair in ((f"{name}_{low}", f"{name}_{high}"), (low, high)):
            if set(pair) <= set(columns) and (pair[0] != low or name in {"value", "figure"}):
                return pair
    return None


def _cell(row: Row, name: str, ends: tuple[str, str] | None) -> Html:
    shown = _number_cell(row.get(name))
    if ends is None or not all(row.get(end) for end in ends):
        return joined([shown])
    low, high = (_number_cell(row.get(end)) for end in ends)
    return joined([shown, element("span", f" ({low} to {high})", class_="interval")])


def _number_cell(cell: str | None) -> str:
    number = _as_number(cell)
    return (cell or "") if number is None else number_text(number)


def _as_number(cell: str | None) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(cell or "")
        except ValueError:
            continue
    return None
