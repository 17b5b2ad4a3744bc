"""The parts of a page besides its cases: what was counted, measured, drawn and used."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.reports.cases import Case, State
from pipelines.reports.figures import confusion_table, figure_tables, number_text, title_of
from pipelines.reports.layout import ROWS, any_table, is_short, plain_text
from pipelines.reports.markup import Html, element, facts, joined, section, table
from pipelines.reports.pictures import figure_source
from pipelines.reports.sources import Sources

PLOTS: Mapping[str, tuple[str, str]] = {
    "roc.png": (
        "ROC curve",
        "Sensitivity against false alarms at every threshold; the dot is the one in use.",
    ),
    "precision_recall.png": (
        "Precision and recall",
        "How many of those called are right, against how many of those there are were called.",
    ),
    "reliability.png": (
        "Reliability",
        "How often each predicted probability came true; on the diagonal it means what it says.",
    ),
    "decision_curve.png": (
        "Decision curve",
        "Net benefit against treating all or none, at each weight of a false alarm.",
    ),
    "scores.png": ("Scores", "Scores of each class, with the threshold in use."),
    "confusion_matrix.png": ("Confusion matrix", "Truth in rows, calls in columns."),
    "dice.png": ("Dice by structure", "Overlap of outlines; 1 is best."),
    "surface_dice.png": ("Surface Dice by structure", "Share of outlines within the tolerance."),
    "hd95_mm.png": ("HD95 by structure", "95th percentile of distances in mm; 0 is best."),
    "hd95_px.png": ("HD95 by structure", "95th percentile of distances in pixels; 0 is best."),
    "curves.png": ("Training", "Loss and figures over the epochs."),
    "cross_validation.png": ("Folds", "Each fold's own films, and all films out of fold."),
    "subgroups.png": ("Subgroups", "The figures of parts of the films, with 95 % intervals."),
    "robustness.png": ("Robustness", "The figures of films that were made worse step by step."),
    "leakage.png": (
        "Pairs of the leak check",
        "Films side by side that are copies or belong together, leaks first.",
    ),
    "highest_scores.png": ("Highest scores", "Film, reconstruction and error."),
    "lowest_scores.png": ("Lowest scores", "Film, reconstruction and error."),
}
"""Pictures that a folder may hold, in the order of the page: title, and what it shows."""

_TABLES: Mapping[str, tuple[str, str]] = {
    "cross_validation.csv": (
        "Folds",
        "Each fold on its own films, and all films, each judged by weights that have not seen it.",
    ),
    "subgroups.csv": (
        "Subgroups",
        "The same figures for parts of the films. Small parts have wide intervals.",
    ),
    "robustness.csv": (
        "Robustness",
        "The same figures on films that were made worse on purpose.",
    ),
    "leakage.csv": (
        "Leak check",
        "A leak stands on two sides of a split and makes figures too high; the rest are warnings.",
    ),
}
_SHOWN_BELOW = {
    f"{name}.png": f"{name}.csv" for name in ("cross_validation", "subgroups", "robustness")
}


def overview(sources: Sources, cases: Sequence[Case]) -> Html:
    """Say in a few large numbers what became of the inputs."""
    counts = {state: sum(case.state is state for case in cases) for state in State}
    flagged = sum(bool(case.flagged) for case in cases)
    tiles = [("inputs" if sources.summary else "cases", len(cases), "")]
    labels = sources.summary.get("labels") or {}
    tiles += [(name, count, "") for name, count in labels.items()]
    tiles += [
        (each, sources.summary[each], "")
        for each in ("normal", "anomalous")
        if each in sources.summary
    ]
    if not sources.summary:
        tiles += [(each.value, counts[each], "") for each in (State.RIGHT,) if counts[each]]
        tiles += [(each.value, counts[each], "bad") for each in (State.WRONG,) if counts[each]]
    tiles += [("unlike the training films", flagged, "odd")] if flagged else []
    tiles += [("failed", counts[State.FAILED], "bad")] if counts[State.FAILED] else []
    tiles += [("skipped", counts[State.SKIPPED], "")] if counts[State.SKIPPED] else []
    items = [
        element("li", element("b", f"{count:,}"), element("span", name), class_=kind or None)
        for name, count, kind in tiles
    ]
    parts = [element("ul", *items, class_="tiles")]
    if flagged and sources.summary:
        parts.append(
            element(
                "p",
                "What was said of films that are unlike the training films means nothing.",
                class_="meaning",
            )
        )
    parts.append(_refusals(sources))
    return section("Overview", *parts, anchor="overview")


def measured(sources: Sources) -> Html:
    """Lay out figures with intervals and the confusion matrix."""
    tables, confusion = figure_tables(sources), confusion_table(sources)
    if not tables and not confusion:
        return Html("")
    if confusion:
        title = element("h3", "Confusion matrix")
        said = element(
            "p",
            "Films by truth and call; the share is of all films of that truth.",
            class_="meaning",
        )
        confusion = joined([title, said, confusion])
    seen = _seen(sources.metrics)
    return section(
        "Figures", seen, tables, confusion, anchor="figures", meaning=_measured_on(sources.metrics)
    )


def plots(sources: Sources) -> Html:
    """Show every known picture of the folder that no table below holds."""
    figures = []
    for name, (title, meaning) in PLOTS.items():
        is_below = (sources.folder / _SHOWN_BELOW.get(name, "-")).is_file()
        if is_below or (name == "confusion_matrix.png" and sources.rows("confusion_matrix.csv")):
            continue
        figure = _figure(sources, name, title=title, meaning=meaning)
        if figure:
            figures.append(figure)
    if not figures:
        return Html("")
    return section("Curves and pictures", element("div", *figures, class_="plots"), anchor="plots")


def tables(sources: Sources) -> Html:
    """Show the tables of subgroups, robustness and the leak check, as far as they are there."""
    parts = []
    for name, (title, meaning) in _TABLES.items():
        rows = sources.rows(name)
        if not rows:
            continue
        stem = name.removesuffix(".csv")
        content = [any_table(rows)]
        picture = _figure(sources, f"{stem}.png", title="", meaning="", kind="wide")
        if picture and f"{stem}.png" in _SHOWN_BELOW:
            content.insert(0, picture)
        if len(rows) > ROWS:
            said = f"The first {ROWS} of {len(rows):,} rows; all stand in {name}."
            content.append(element("p", said, class_="meaning"))
        parts.append(section(title, *content, anchor=stem, meaning=meaning))
    return joined(parts)


def about(sources: Sources) -> Html:
    """Say what was used: weights, threshold, versions."""
    shown = {
        title_of(name): plain_text(value)
        for name, value in (sources.summary or _settings(sources.metrics)).items()
        if is_short(value)
    }
    environment = sources.json("environment.json")
    shown |= {
        title_of(name): plain_text(environment[name])
        for name in ("device", "seed", "commit", "python", "data_fingerprint")
        if environment.get(name) is not None
    }
    versions = environment.get("versions") or {}
    if versions:
        known = (f"{name} {version}" for name, version in versions.items() if version)
        shown["Versions"] = ", ".join(known)
    if not shown:
        return Html("")
    folded = element("details", element("summary", "Show"), facts(shown))
    return section("How this was made", folded, anchor="about")


def _refusals(sources: Sources) -> Html:
    """Count refused inputs by reason."""
    reasons: Mapping[str, int] = sources.summary.get("reasons") or {}
    if not reasons:
        return Html("")
    first = {row.get("reason", ""): row for row in reversed(sources.rows("failures.csv"))}
    rows = [
        (
            reason.replace("_", " "),
            f"{count:,}",
            first.get(reason, {}).get("outcome", ""),
            element("span", first.get(reason, {}).get("message", ""), class_="meaning"),
        )
        for reason, count in reasons.items()
    ]
    heads = ("Reason", "Inputs", "Outcome", "For example")
    title = element("h3", "Inputs without a prediction")
    return joined([title, table(heads, rows, numbers=frozenset({1}))])


def _measured_on(metrics: Mapping[str, Any]) -> str:
    """Say on what, and how the intervals were made."""
    said = []
    if "n" in metrics:
        groups = metrics.get("n_groups")
        of = f" of {groups:,} patients or groups" if isinstance(groups, int) else ""
        said.append(f"{metrics['n']:,} {metrics.get('split', '')} films{of}.")
    interval = metrics.get("interval") or {}
    if interval:
        said.append(
            f"Intervals of {interval.get('level', 0.95):.0%}: {interval.get('method', '')}, "
            f"{interval.get('resamples', 0):,} resamples."
        )
    if metrics.get("threshold_origin"):
        said.append(
            f"Threshold {number_text(metrics.get('threshold'))}: {metrics['threshold_origin']}."
        )
    return " ".join(said)


def _seen(metrics: Mapping[str, Any]) -> Html:
    """Warn of films that the weights know."""
    seen = metrics.get("films_seen") or {}
    told = {
        "trained_on": "the weights were trained with",
        "chosen_on": "weights or threshold were chosen on",
    }
    said = [f"{seen[name]:,} that {how}" for name, how in told.items() if seen.get(name)]
    if not said:
        return Html("")
    text = f"Of these films there are {' and '.join(said)}: such figures are too high."
    return element("p", element("strong", "Mind: "), text, class_="notice")


def _figure(
    sources: Sources, name: str, *, title: str, meaning: str, kind: str | None = None
) -> Html:
    path = sources.folder / name
    source = figure_source(path) if path.is_file() else None
    if source is None:
        return Html("")
    head = [element("h3", title)] if title else []
    said = [element("figcaption", meaning)] if meaning else []
    image = element("img", src=source, alt=f"{title or title_of(path.stem)}. {meaning}".strip())
    return element("figure", *head, image, *said, class_=kind)


def _settings(metrics: Mapping[str, Any]) -> dict[str, Any]:
    left = {"metrics", "confusion_matrix", "structures", "auroc_of_scores", "interval"}
    return {name: value for name, value in metrics.items() if name not in left}
