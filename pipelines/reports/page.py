"""`report.html`: one file that opens without a network, drawn from what stands in a folder."""

import base64
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

import pipelines
from pipelines.files import write_text
from pipelines.reports import sections
from pipelines.reports.cases import Case, CaseTable, Column, Value, read_cases, states_of
from pipelines.reports.data_card import data_card
from pipelines.reports.markup import Html, data_block, element, joined
from pipelines.reports.pictures import CasePictures, gather
from pipelines.reports.sources import Sources

FILE_NAME = "report.html"
MOST_CASES = 20_000
MOST_THUMBNAILS = 5_000
PRINTED = 200
"""Rows on paper."""

Thumbnails: TypeAlias = Callable[[], Mapping[str, str]]
"""Gives the small pictures of films, WebP in base64, by their names in the tables."""

_FIRST = (Column("place", "No.", "count"), Column("filename", "File"), Column("state", "Outcome"))
_FLAGGED = Column("flagged", "Unlike training films", "flag", shown=False)
_log = logging.getLogger(__name__)


def draw_report(
    folder: Path,
    *,
    title: str,
    kind: str,
    thumbnails: Thumbnails | None = None,
) -> Path | None:
    """Write `report.html` into a folder of results; what goes wrong is logged and costs no run.

    Args:
        folder: Of a run, an evaluation or a prediction.
        title: Such as the name of the bundle.
        kind: What the folder holds, in a few words.
        thumbnails: Gives WebP in base64 by the film's name in the tables.

    Returns:
        Where the report stands; None if it could not be drawn.
    """
    path = folder / FILE_NAME
    try:
        text = page(folder, title=title, kind=kind, thumbnails=thumbnails)
        write_text(path, text)
    except Exception as error:  # noqa: BLE001 - tables and figures are there; a page is no reason to lose them
        _log.warning("no %s: %s: %s", FILE_NAME, type(error).__name__, error)
        return None
    return path


def page(
    folder: Path,
    *,
    title: str,
    kind: str,
    thumbnails: Thumbnails | None = None,
) -> str:
    """Return the text of the page; see `draw_report`."""
    sources = Sources(folder)
    found = read_cases(sources)
    cases = found.cases[:MOST_CASES]
    drawn = gather(sources, cases)
    before = [
        sections.overview(sources, found.cases),
        sections.measured(sources),
        sections.plots(sources),
        sections.tables(sources),
    ]
    after = [data_card(sources), sections.about(sources)]
    small = _thumbnails(cases, drawn, thumbnails() if thumbnails else {})
    style, script = _static("report.css"), _static("theme.js") + _static("report.js")
    return _filled(
        {
            "policy": _policy(style, script),
            "generator": f"plainfilm {pipelines.__version__}",
            "title": joined([f"{title}: {kind}"]),
            "kind": joined([kind[:1].upper() + kind[1:]]),
            "heading": joined([title]),
            "contents": _contents(before, after),
            "before": joined(before),
            "after": joined(after),
            "cases_meaning": joined([_said_of_cases(found, cases, drawn, small)]),
            "footer": joined([f"plainfilm {pipelines.__version__}"]),
            "data": _data(found.columns, cases, drawn, small),
            "style": style,
            "script": script,
        }
    )


def _static(name: str) -> Html:
    return Html(files("pipelines.reports").joinpath("static", name).read_text(encoding="utf-8"))


def _filled(parts: Mapping[str, str]) -> str:
    # In one pass, so that what is filled in is not looked through again.
    return re.sub(r"\{\{(\w+)\}\}", lambda name: parts[name[1]], _static("report.html"))


def _policy(style: str, script: str) -> str:
    """Allow this style and this script, pictures that the page holds, and nothing else."""

    def digest(text: str) -> str:
        made = hashlib.sha256(text.encode("utf-8")).digest()
        return f"'sha256-{base64.b64encode(made).decode('ascii')}'"

    return (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; "
        f"script-src {digest(script)}; base-uri 'none'; form-action 'none'"
    )


def _contents(before: list[Html], after: list[Html]) -> Html:
    heads = re.compile(r'<h2 id="([\w-]+)-title">([^<]*)</h2>')
    links = [found for part in before for found in heads.findall(part)]
    links.append(("cases", "Cases"))
    links += [found for part in after for found in heads.findall(part)]
    items = [element("li", element("a", Html(text), href=f"#{name}")) for name, text in links]
    return element("ul", *items)


def _thumbnails(cases: tuple[Case, ...], drawn: CasePictures, kept: Mapping[str, str]) -> list[str]:
    """Give the small picture of each case: its strip, or its film; empty where there is none."""
    small, room = [], MOST_THUMBNAILS
    for place, case in enumerate(cases):
        picture = drawn.strips.get(place) or kept.get(case.filename, "")
        small.append(picture if room > 0 else "")
        room -= bool(picture)
    return small


def _said_of_cases(
    found: CaseTable, cases: tuple[Case, ...], drawn: CasePictures, small: list[str]
) -> str:
    if not found.cases:
        return "The tables of this folder hold no cases."
    said = ["What failed."]
    if found.meaning:
        said = [f"In this order: what failed; {found.meaning}."]
    said.append("A row opens its case.")
    if len(cases) < len(found.cases):
        said.append(f"The first {len(cases):,} of {len(found.cases):,}; the tables have all.")
    if len(drawn.large) < drawn.found:
        said.append(
            f"{len(drawn.large):,} of {drawn.found:,} large pictures are in this file, those of "
            "the first cases; all stand beside it."
        )
    if sum(map(bool, small)) >= MOST_THUMBNAILS and len(cases) > MOST_THUMBNAILS:
        said.append(f"The first {MOST_THUMBNAILS:,} have a small picture.")
    return " ".join(said)


def _data(
    columns: tuple[Column, ...], cases: tuple[Case, ...], drawn: CasePictures, small: list[str]
) -> Html:
    """Hold the table for the script: plain values, and each picture in a block of its own."""
    whole = (*_FIRST, *columns, _FLAGGED)
    value = {
        "columns": [
            {"key": each.key, "title": each.title, "kind": each.kind, "shown": each.shown}
            for each in whole
        ],
        "rows": [_row(place, case, columns) for place, case in enumerate(cases, start=1)],
        "states": list(states_of(cases)),
        "pictures": drawn.caption,
        "printed": PRINTED,
    }
    blocks = [data_block("table-data", value), data_block("thumbnails", small)]
    blocks += [
        Html(f'<script type="text/plain" id="picture-{place}">{picture}</script>\n')
        for place, picture in drawn.large.items()
    ]
    return joined(blocks)


def _row(place: int, case: Case, columns: tuple[Column, ...]) -> list[Value]:
    cells = [case.values.get(column.key) for column in columns]
    return [place, case.filename, case.state.value, *cells, case.flagged]
