"""A detector of anomalies is judged: how well it reconstructs, and how well its score tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.metrics import roc_auc_score

from pipelines.datasets.anomaly import CLASSES
from pipelines.errors import DatasetError, Reason
from pipelines.evaluation.anomaly_point import AnomalyPoint, Criterion, check_target
from pipelines.evaluation.anomaly_scores import (
    AnomalyScore,
    Floats,
    MeasuredFilms,
    Profile,
)
from pipelines.evaluation.bootstrap import Statistic, bootstrap_intervals
from pipelines.evaluation.cases import Integers
from pipelines.evaluation.figures import Figure
from pipelines.evaluation.one_against_rest import OneAgainstRest
from pipelines.evaluation.questions import Question
from pipelines.evaluation.thresholds import choose_threshold
from pipelines.evaluation.trained_on import SplitFacts
from pipelines.training.reconstruction_metrics import MEASURES

DECISIONS = ("auroc", "auprc", "sensitivity", "specificity", "ppv", "npv", "f1")
"""Figures that need labels of both kinds."""

MEASURE_TITLES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "mse": "MSE", "mae": "MAE"}

_FALLBACK_FALSE_ALARMS = 0.05
_OUT_OF_DISTRIBUTION = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyCases:
    """Films of one split with what was measured of them, one row a film.

    Attributes:
        filenames: Path of each film relative to its data set, with `/`.
        groups: Near copies of one film and films of one patient share a group; they are resampled
            together.
        labels: int64, (n,), 0 normal and 1 anomalous.
        measured: What was measured.
    """

    filenames: tuple[str, ...]
    groups: tuple[str, ...] = field(repr=False)
    labels: Integers
    measured: MeasuredFilms

    def __len__(self) -> int:
        """Return the number of films."""
        return len(self.filenames)

    @property
    def has_both(self) -> bool:
        """Whether there are normal and anomalous films."""
        return len(np.unique(self.labels)) == len(CLASSES)


@dataclass(frozen=True, slots=True, eq=False)
class AnomalyEvaluation:
    """What was measured, on what, and how.

    Attributes:
        split: Name of the split.
        cases: The films.
        point: What was decided with; used as it is.
        scores: (n,), of the score that the point names.
        figures: Every figure with its 95 % interval by group; those of `MEASURES` are means over
            normal films, those of `DECISIONS` are there where both kinds are.
        others: AUROC of every score, where both kinds are.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        facts: What is known of the split and of the weights.
    """

    split: str
    cases: AnomalyCases
    point: AnomalyPoint
    scores: Floats
    figures: Mapping[str, Figure]
    others: Mapping[str, Figure]
    resamples: int
    seed: int
    facts: SplitFacts = field(default_factory=SplitFacts)

    @property
    def note(self) -> str:
        """How was decided, and what else must be known to believe the figures."""
        return self.facts.warned(f"Threshold {self.point.threshold:.4g}: {threshold_origin(self)}")


def choose_anomaly_point(  # noqa: PLR0913 - what a configuration sets
    cases: AnomalyCases,
    profile: Profile,
    *,
    image_size: int,
    error_scale: float,
    score: AnomalyScore | None = None,
    criterion: Criterion = "youden",
    target: float | None = None,
    split: str = "validation",
    seed: int = 0,
) -> AnomalyPoint:
    """Choose score, threshold and limit on validation films.

    Without anomalous films the score is `combined`, unless one is given, and criteria that need
    labels give way to 5 % false alarms.

    Args:
        cases: Validation films, normal ones among them.
        profile: Of the normal training films.
        image_size: See `AnomalyPoint`.
        error_scale: See `AnomalyPoint`.
        score: The score; None takes the one with the highest AUROC.
        criterion: How to choose the threshold.
        target: Of the criterion.
        split: Name of the split.
        seed: Of the intervals.

    Returns:
        The point with its figures on these films.

    Raises:
        ConfigurationError: If criterion and target do not go together.
        DatasetError: If there is no normal film.
    """
    check_target(criterion, target)
    normal = cases.labels == 0
    if not normal.any():
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            "expected normal films to choose an operating point on, got none; add some",
        )
    scores = profile.scores(cases.measured)
    aurocs = {}
    if cases.has_both:
        aurocs = {
            name.value: float(roc_auc_score(cases.labels, values))
            for name, values in scores.items()
        }
    elif criterion != "false_alarms":
        criterion, target = "false_alarms", _FALLBACK_FALSE_ALARMS
    if score is None:
        score = (
            AnomalyScore(max(aurocs, key=aurocs.__getitem__)) if aurocs else (AnomalyScore.COMBINED)
        )
    chosen = scores[score]
    point = AnomalyPoint(
        score=score,
        threshold=_threshold(cases.labels, chosen, criterion=criterion, target=target),
        out_of_distribution=float(np.quantile(chosen[normal], _OUT_OF_DISTRIBUTION)),
        image_size=image_size,
        error_scale=error_scale,
        criterion=criterion,
        target=target,
        split=split,
        chosen_from=aurocs,
        profile=profile,
    )
    return replace(point, figures=evaluate_anomalies(cases, point, split=split, seed=seed).figures)


def evaluate_anomalies(
    cases: AnomalyCases,
    point: AnomalyPoint,
    *,
    split: str,
    resamples: int = 2000,
    seed: int = 0,
) -> AnomalyEvaluation:
    """Evaluate films at an operating point.

    Args:
        cases: The films.
        point: Chosen on validation films, used unchanged.
        split: Name of the split.
        resamples: Of the bootstrap by group.
        seed: Of the bootstrap.

    Returns:
        The evaluation.
    """
    every = point.profile.scores(cases.measured)
    scores = every[point.score]
    figures = _reconstruction_figures(cases, resamples=resamples, seed=seed)
    others: dict[str, Figure] = {}
    if cases.has_both:
        for name, values in every.items():
            found = _decision_figures(
                cases.labels,
                values,
                groups=cases.groups,
                threshold=point.threshold,
                resamples=resamples,
                seed=seed,
            )
            others[name.value] = found["auroc"]
            if name is point.score:
                figures |= {title: found[title] for title in DECISIONS}
    return AnomalyEvaluation(
        split=split,
        cases=cases,
        point=point,
        scores=scores,
        figures=figures,
        others=others,
        resamples=resamples,
        seed=seed,
    )


def figures_of_part(evaluation: AnomalyEvaluation, places: Integers) -> dict[str, Figure]:
    """Compute how well the score tells some of the films apart, at the same threshold.

    Args:
        evaluation: Of all films.
        places: Which of them, at least one.

    Returns:
        The figures of `DECISIONS`; those that need films of both kinds are None without them.
    """
    cases = evaluation.cases
    return _decision_figures(
        cases.labels[places],
        evaluation.scores[places],
        groups=[cases.groups[place] for place in places],
        threshold=evaluation.point.threshold,
        resamples=evaluation.resamples,
        seed=evaluation.seed,
    )


def threshold_origin(evaluation: AnomalyEvaluation) -> str:
    """Say in a few words how the threshold was chosen, and on what."""
    point = evaluation.point
    how = point.criterion if point.target is None else f"{point.criterion} {point.target:g}"
    if point.split == evaluation.split:
        return f"{how}, chosen on these same films, so the figures are optimistic"
    return f"{how}, chosen on {point.split} and used unchanged"


def format_anomalies(evaluation: AnomalyEvaluation) -> str:
    """Lay an evaluation out as text for a terminal, without a line end at the end."""
    cases, point, seen = evaluation.cases, evaluation.point, evaluation.facts.seen
    counts = np.bincount(cases.labels, minlength=len(CLASSES))
    held = ", ".join(f"{count} {kind}" for kind, count in zip(CLASSES, counts, strict=True))
    lines = [
        f"{evaluation.split}: {len(cases)} films in {len(set(cases.groups))} groups ({held})",
        f"score {point.score}, threshold {point.threshold:.4g} ({threshold_origin(evaluation)})",
        f"out of distribution above {point.out_of_distribution:.4g}: "
        f"{np.mean(evaluation.scores > point.out_of_distribution):.1%} of these films",
        *([f"WARNING: {seen.warning}"] if seen is not None and seen.warning else []),
        "",
        f"{'':<24} {'value':>8}   95 % interval",
    ]
    lines += [_line(MEASURE_TITLES.get(n, n), figure) for n, figure in evaluation.figures.items()]
    lines += [_line(f"auroc of {name}", figure) for name, figure in evaluation.others.items()]
    return "\n".join(lines)


def _line(title: str, figure: Figure) -> str:
    if figure.value is None:
        return f"{title:<24}        -   undefined on these films"
    if figure.low is None or figure.high is None:
        return f"{title:<24} {figure.value:>8.4g}   none"
    return f"{title:<24} {figure.value:>8.4g}   {figure.low:.4g} to {figure.high:.4g}"


def _threshold(
    labels: Integers, scores: Floats, *, criterion: Criterion, target: float | None
) -> float:
    if criterion == "false_alarms":
        return float(np.quantile(scores[labels == 0], 1 - (target or 0)))
    # Scores have no upper end; the same order between 0 and 1 has the same best place.
    share = choose_threshold(labels, scores / (1 + scores), criterion=criterion, target=target)
    return share / (1 - share)


def _decision_figures(
    labels: Integers,
    scores: Floats,
    *,
    groups: Sequence[str],
    threshold: float,
    resamples: int,
    seed: int,
) -> dict[str, Figure]:
    question = OneAgainstRest(_question(labels, scores, threshold))

    def statistic(weights: Floats) -> Mapping[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return question.of_class(weights)

    return _with_intervals(statistic, groups, resamples=resamples, seed=seed)


def _question(labels: Integers, scores: Floats, threshold: float) -> Question:
    return Question(
        suffix="",
        title=CLASSES[1],
        truth=labels == 1,
        called=scores >= threshold,
        odds=scores,
        probability=np.zeros(len(scores)),
    )


def _reconstruction_figures(cases: AnomalyCases, *, resamples: int, seed: int) -> dict[str, Figure]:
    normal = np.flatnonzero(cases.labels == 0)
    if not len(normal):
        return {}
    values = {name: cases.measured.measures[name][normal] for name in MEASURES}

    def statistic(weights: Floats) -> Mapping[str, Floats]:
        return {name: weights @ each / weights.sum(axis=1) for name, each in values.items()}

    groups = [cases.groups[place] for place in normal]
    return _with_intervals(statistic, groups, resamples=resamples, seed=seed)


def _with_intervals(
    statistic: Statistic, groups: Sequence[str], *, resamples: int, seed: int
) -> dict[str, Figure]:
    values = statistic(np.ones((1, len(groups))))
    intervals = bootstrap_intervals(statistic, groups, resamples=resamples, seed=seed)
    return {name: Figure.of(value[0], intervals[name]) for name, value in values.items()}
