"""The data card of a run: what its films are, counted."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.reports.figures import title_of
from pipelines.reports.layout import any_value, plain_text
from pipelines.reports.markup import Html, element, facts, joined, section, table
from pipelines.reports.sources import Sources

_KNOWN = frozenset(
    {
        *("films", "groups", "splits", "sizes", "other_sizes", "bit_depths", "formats"),
        *("histogram_edges", "histograms", "duplicates", "missing", "unreadable"),
    }
)
_WIDTH, _HEIGHT = 220, 60


def data_card(sources: Sources) -> Html:
    """Lay out `data_card.json`; what it holds beyond what is known here follows as it is.

    Args:
        sources: The folder's files.

    Returns:
        The part of the page; empty if there is no data card.
    """
    card = sources.json("data_card.json")
    if not card:
        return Html("")
    parts = [
        facts(_counts(card)),
        _splits(card.get("splits")),
        _histograms(card.get("histograms")),
    ]
    others = {name: value for name, value in card.items() if name not in _KNOWN}
    if others:
        parts.append(any_value(others))
    meaning = (
        "The films that were learnt from and those that the figures are of, as they were read."
    )
    return section("Data card", *parts, anchor="data-card", meaning=meaning)


def _counts(card: Mapping[str, Any]) -> dict[str, str]:
    said = {
        title: plain_text(card[name])
        for name, title in (("films", "Films"), ("groups", "Patients or groups"))
        if name in card
    }
    sizes = [
        f"{each.get('width')} x {each.get('height')} ({each.get('count')})"
        for each in card.get("sizes") or ()
        if isinstance(each, dict)
    ]
    if card.get("other_sizes"):
        sizes.append(f"others ({card['other_sizes']})")
    said |= {"Sizes in pixels (films)": ", ".join(sizes)} if sizes else {}
    for name, title in (
        ("bit_depths", "Bits a pixel (films)"),
        ("formats", "Formats (films)"),
        ("duplicates", "Found by the leak check"),
        ("missing", "Films that do not tell"),
    ):
        counted = card.get(name)
        if isinstance(counted, dict) and counted:
            pairs = (f"{title_of(str(key))} ({value})" for key, value in counted.items() if value)
            said[title] = ", ".join(pairs) or "none"
    said |= {"Unreadable": plain_text(card["unreadable"])} if card.get("unreadable") else {}
    return said


def _splits(splits: object) -> Html:
    """Films and groups of each class, by split."""
    if not isinstance(splits, dict) or not all(isinstance(each, dict) for each in splits.values()):
        return Html("")
    filled = {name: of_class for name, of_class in splits.items() if of_class}
    classes = list(dict.fromkeys(name for of_class in filled.values() for name in of_class))
    rows = [
        (str(split), *(_films(of_class.get(name)) for name in classes))
        for split, of_class in filled.items()
    ]
    if not rows:
        return Html("")
    heads = ("Split", *(str(name) for name in classes))
    title = element("h3", "Films of each split and class, and of how many patients or groups")
    return joined([title, table(heads, rows, numbers=frozenset(range(1, len(heads))))])


def _films(counted: object) -> str:
    if not isinstance(counted, dict):
        return plain_text(counted)
    groups = counted.get("groups")
    of = "" if groups is None else f" of {plain_text(groups)}"
    return f"{plain_text(counted.get('films'))}{of}"


def _histograms(histograms: object) -> Html:
    """The grey values of each class, on one scale."""
    if not isinstance(histograms, dict):
        return Html("")
    shares = {
        str(name): [float(each) for each in values]
        for name, values in histograms.items()
        if isinstance(values, list) and all(isinstance(each, int | float) for each in values)
    }
    highest = max((value for values in shares.values() for value in values), default=0.0)
    if highest <= 0:
        return Html("")
    drawn = [
        element("figure", _bars(values, highest), element("figcaption", name))
        for name, values in shares.items()
    ]
    title = element("h3", "Grey values, from black to white, as shares of pixels")
    return joined([title, element("div", *drawn, class_="histograms")])


def _bars(values: Sequence[float], highest: float) -> Html:
    step = _WIDTH / len(values)
    bars = []
    for place, value in enumerate(values):
        tall = _HEIGHT * max(0.0, value) / highest
        bars.append(
            element(
                "rect",
                x=f"{place * step:.1f}",
                y=f"{_HEIGHT - tall:.1f}",
                width=f"{step - 1:.1f}",
                height=f"{tall:.1f}",
            )
        )
    return element("svg", *bars, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", aria_hidden="true")
