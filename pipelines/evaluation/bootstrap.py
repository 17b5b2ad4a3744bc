"""Percentile bootstrap intervals, resampled by patient.

Films of one patient are not independent, so patients are drawn with replacement and each brings
all of its films. A resample is a row of weights (how often each film is in it), so that any
weighted statistic is computed for many resamples in one matrix operation.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipelines.evaluation.cases import Floats

Statistic = Callable[[Floats], Mapping[str, Floats]]
"""From weights (resamples, n) to values by name, (resamples,) each; NaN where undefined."""

LARGEST_BLOCK = 400_000
"""Weights held at once (3 MB, what a processor keeps near), whatever the number of cases."""

LARGEST_UNDEFINED_SHARE = 0.1
"""No interval is given where more of the resamples than this leave a value undefined."""


def bootstrap_intervals(
    statistic: Statistic,
    groups: Sequence[str],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float] | None]:
    """Give an interval for each value of a statistic.

    Args:
        statistic: What to compute from weights.
        groups: Patient of each case; the order is that of the columns of the weights.
        resamples: How often to draw.
        level: Share of the resamples within the interval, above 0 and below 1.
        seed: Equal seeds give equal intervals.

    Returns:
        Low and high end by name; None with fewer than two patients, and where more than a tenth
        of the resamples leave the value undefined.
    """
    drawn = bootstrap_values(statistic, groups, resamples=resamples, seed=seed)
    if len(set(groups)) == 1:
        return dict.fromkeys(drawn)
    return {name: interval_of(values, level) for name, values in drawn.items()}


def bootstrap_values(
    statistic: Statistic, groups: Sequence[str], *, resamples: int = 2000, seed: int = 0
) -> dict[str, Floats]:
    """Compute a statistic for each resample.

    Args:
        statistic: What to compute from weights.
        groups: Patient of each case; the order is that of the columns of the weights.
        resamples: How often to draw.
        seed: Equal seeds and groups give equal resamples, so that what two statistics say of one
            resample can be set against each other.

    Returns:
        (resamples,) by name; NaN where undefined.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = int(member.max()) + 1
    generator = np.random.default_rng(seed)
    block = max(1, LARGEST_BLOCK // len(member))
    drawn: dict[str, list[Floats]] = {}
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        counts = generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=rows)
        for name, values in statistic(counts[:, member].astype(np.float64)).items():
            drawn.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in drawn.items()}


def all_or_none(value: float, patients: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share of which every case, or none, is counted.

    Each resample gives the same share, so that the bootstrap would claim to know it exactly.

    Args:
        value: 0 or 1.
        patients: How many the cases come from; each counts once.
        level: Of the interval.

    Returns:
        Low and high end.

    References:
        Clopper and Pearson, Biometrika 26 (1934) 404-413.

    Examples:
        >>> low, high = all_or_none(1.0, 30)
        >>> round(low, 3), high
        (0.884, 1.0)
    """
    bound = float(((1 - level) / 2) ** (1 / patients))
    return (bound, 1.0) if value else (0.0, 1 - bound)


def interval_of(values: Floats, level: float = 0.95) -> tuple[float, float] | None:
    """Return the percentile interval of what resamples gave.

    Args:
        values: (resamples,), NaN where undefined.
        level: Share of the resamples within the interval.

    Returns:
        Low and high end; None where more than a tenth of the resamples are undefined.
    """
    defined = values[~np.isnan(values)]
    if len(defined) < (1 - LARGEST_UNDEFINED_SHARE) * len(values):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
