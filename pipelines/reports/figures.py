"""Figures with their intervals, as tables that also show them as lines on one scale."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.evaluation.figures import TITLES
from pipelines.reports.markup import Html, element, joined, table
from pipelines.reports.sources import Sources

MEANINGS: Mapping[str, str] = {
    "accuracy": "share of films that were called right",
    "balanced_accuracy": "mean of the shares called right of each class; chance gives 0.5 of two",
    "sensitivity": "share of the positive films that were called positive",
    "specificity": "share of the other films that were not",
    "ppv": "share of the films called positive that are; depends on how common they are",
    "npv": "share of the films called negative that are; depends on how common they are",
    "f1": "harmonic mean of sensitivity and PPV",
    "auroc": "how often a positive film scores higher than another; chance gives 0.5",
    "auprc": "mean precision over all sensitivities; chance gives the share of positives",
    "mcc": "agreement of calls and truth, -1 to 1; chance gives 0",
    "brier": "mean squared error of the probability; 0 is best",
    "ece": "mean gap between probability and observed share; 0 is best",
    "dice": "overlap of outlines, 0 to 1",
    "iou": "shared part of both outlines, 0 to 1",
    "surface_dice": "share of both outlines that lie within the tolerance of each other",
    "hd95": "95th percentile of the distance between outlines; 0 is best",
    "psnr": "how like its film the reconstruction is, in dB",
    "ssim": "structural likeness of film and reconstruction, to 1",
    "mse": "mean squared error of the reconstruction",
    "mae": "mean absolute error of the reconstruction",
}
"""What a figure says, by its name or the beginning of it."""

_WIDTH, _HEIGHT, _EDGE = 130, 18, 6
_OTHER_TITLES = {
    **{"dice": "Dice", "iou": "IoU", "surface_dice": "Surface Dice"},
    **{"psnr": "PSNR (dB)", "ssim": "SSIM", "mse": "MSE", "mae": "MAE"},
}
_SHADES = 5


def figure_tables(sources: Sources) -> Html:
    """Lay out the figures of an evaluation, and those of each class or structure.

    Args:
        sources: The folder's files.

    Returns:
        Tables; empty if the folder has no figures.
    """
    found: Mapping[str, Any] = sources.metrics.get("metrics") or {}
    if not found:
        return Html("")
    titles = {row.get("metric", ""): row.get("title", "") for row in sources.rows("metrics.csv")}
    classes = [str(name) for name in sources.metrics.get("classes") or ()]
    single = {f"{name}_{each}" for name in TITLES for each in classes}
    rows = [
        _row(titles.get(name) or title_of(name), name, figure)
        for name, figure in found.items()
        if name not in single
    ]
    heads = ("Figure", "Value", "95 % interval", "0 to 1", "What it says")
    parts = [table(heads, rows, numbers=frozenset({1}))]
    of_class = {
        each: {n: found[f"{n}_{each}"] for n in TITLES if f"{n}_{each}" in found}
        for each in classes
    }
    parts.append(_matrix("Each class against the rest", of_class))
    parts.append(_matrix("Each structure", sources.metrics.get("structures") or {}))
    scores = sources.metrics.get("auroc_of_scores") or {}
    parts.append(_matrix("Other scores", {name: {"auroc": each} for name, each in scores.items()}))
    return joined(parts)


def confusion_table(sources: Sources) -> Html:
    """Lay out a confusion matrix: counts and, of each row, shares.

    Args:
        sources: The folder's files.

    Returns:
        The table; empty if there is none.
    """
    rows = sources.rows("confusion_matrix.csv")
    names = [name.removeprefix("share_") for name in (rows[0] if rows else ()) if "share_" in name]
    if not names:
        return Html("")
    heads = [element("th", f"called {name}", scope="col") for name in names]
    body = [
        element(
            "tr",
            element("th", f"truly {row.get('label', '')}", scope="row"),
            *(_confusion_cell(row, name) for name in names),
        )
        for row in rows
    ]
    head = element("thead", element("tr", element("td"), *heads))
    whole = element("table", head, element("tbody", *body), class_="confusion")
    return element("div", whole, class_="scroll")


def title_of(name: str) -> str:
    """Return the title of a figure for people."""
    plain = name.replace("_", " ")
    return TITLES.get(name) or _OTHER_TITLES.get(name) or plain[:1].upper() + plain[1:]


def number_text(value: object) -> str:
    """Write a number with three digits behind the point, large ones with fewer; a dash for none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value in {None, ""} else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    small, large = 0.001, 100
    if value and abs(value) < small:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < large else f"{value:,.1f}"


def interval_text(figure: Mapping[str, Any]) -> str:
    """Write an interval; empty where there is none."""
    low, high = figure.get("low"), figure.get("high")
    return "" if low is None or high is None else f"{number_text(low)} to {number_text(high)}"


def _row(title: str, name: str, figure: Mapping[str, Any]) -> Sequence[str]:
    return (
        title,
        number_text(figure.get("value")),
        element("span", interval_text(figure), class_="interval"),
        _whisker(figure),
        element("span", _meaning(name), class_="meaning"),
    )


def _meaning(name: str) -> str:
    parts = name.split("_")
    beginnings = ("_".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((MEANINGS[each] for each in beginnings if each in MEANINGS), "")


def _whisker(figure: Mapping[str, Any]) -> Html:
    """Draw value and interval on a line from 0 to 1; nothing for what lies elsewhere."""
    value, low, high = (figure.get(end) for end in ("value", "low", "high"))
    ends = [each for each in (value, low, high) if each is not None]
    if value is None or not all(0 <= each <= 1 for each in ends):
        return Html("")

    def across(number: float) -> str:
        return f"{_EDGE + number * (_WIDTH - 2 * _EDGE):.1f}"

    def line(start: float, stop: float, kind: str) -> Html:
        middle = _HEIGHT // 2
        return element("line", x1=across(start), x2=across(stop), y1=middle, y2=middle, class_=kind)

    drawn = [line(0, 1, "axis")]
    if low is not None and high is not None:
        drawn.append(line(low, high, "range"))
    drawn.append(element("circle", cx=across(value), cy=_HEIGHT // 2, r=4))
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    return element("svg", *drawn, class_="whisker", viewBox=box, aria_hidden="true")


def _matrix(title: str, of_each: Mapping[str, Mapping[str, Any]]) -> Html:
    """Lay out the same figures of several things, a row each."""
    names = list(dict.fromkeys(name for each in of_each.values() for name in each))
    if not names:
        return Html("")
    rows: Iterable[Sequence[str]] = (
        (each, *(_with_interval(figures.get(name) or {}) for name in names))
        for each, figures in of_each.items()
    )
    heads = ("", *map(title_of, names))
    numbers = frozenset(range(1, len(heads)))
    return joined([element("h3", title), table(heads, rows, numbers=numbers)])


def _with_interval(figure: Mapping[str, Any]) -> Html:
    between = interval_text(figure)
    said = f" ({between})" if between else ""
    return joined([number_text(figure.get("value")), element("span", said, class_="interval")])


def _confusion_cell(row: Mapping[str, str], name: str) -> Html:
    try:
        share = float(row.get(f"share_{name}", ""))
    except ValueError:
        share = 0.0
    shade = min(_SHADES, max(0, round(share * _SHADES)))
    count = row.get(f"predicted_{name}", "")
    return element("td", element("b", count), element("span", f"{share:.1%}"), class_=f"s{shade}")
