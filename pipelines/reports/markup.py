"""HTML without a library: every text is escaped, whatever a file name holds."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from pipelines.table_cells import encodable

_VOID = frozenset({"img"})


class Html(str):
    """Text that is HTML already; any other text is escaped where it is put into HTML."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: object) -> Html:
    """Make an element.

    Args:
        tag: Its name.
        children: What stands in it: HTML as it is, other text escaped.
        attributes: A `_` at the end of a name is dropped (`class_`), others become `-`. None leaves
            the attribute out, True writes its name alone.

    Returns:
        The element.

    Examples:
        >>> element("p", "a < b", class_="why")
        '<p class="why">a &lt; b</p>'
    """
    opened = f"<{tag}{''.join(_attribute(*each) for each in attributes.items())}>"
    return Html(opened if tag in _VOID else f"{opened}{joined(children)}</{tag}>")


def joined(parts: Iterable[str]) -> Html:
    """Put parts behind each other: HTML as it is, other text escaped."""
    return Html("".join(part if isinstance(part, Html) else _escaped(part) for part in parts))


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: frozenset[int] = frozenset()
) -> Html:
    """Make a table whose first column names the rows.

    Args:
        heads: Titles of the columns.
        rows: Cells of each row, as many as titles.
        numbers: Places of the columns that are aligned to the right.

    Returns:
        The table, in a frame that scrolls sideways on a small screen.
    """

    def kind(place: int) -> str | None:
        return "number" if place in numbers else None

    head = [element("th", text, scope="col", class_=kind(n)) for n, text in enumerate(heads)]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", class_=kind(0)),
            *(element("td", cell, class_=kind(n)) for n, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    whole = element("table", element("thead", element("tr", *head)), element("tbody", joined(body)))
    return element("div", whole, class_="scroll")


def facts(values: Mapping[str, str]) -> Html:
    """Make a list of names and values."""
    pairs = [element("dt", name) + element("dd", value) for name, value in values.items()]
    return element("dl", Html("".join(pairs)), class_="facts")


def section(title: str, *content: str, anchor: str, meaning: str = "") -> Html:
    """Make a part of the page with its heading and a line that says what it means."""
    said = [element("p", meaning, class_="meaning")] if meaning else []
    return element(
        "section",
        element("h2", title, id=f"{anchor}-title"),
        *said,
        *content,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def data_block(name: str, value: object) -> Html:
    """Hold a value as JSON that no content can break out of; what is not finite becomes null."""
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    # In a script element only "<" can end it; in JSON it stands in strings alone.
    safe = text.replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="{name}">{safe}</script>\n')


def _attribute(name: str, value: object) -> str:
    if value is None:
        return ""
    written = name.removesuffix("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    return escape(encodable(text))


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
