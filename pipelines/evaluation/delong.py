"""Two AUROCs on the same films: is the difference more than chance?

DeLong's covariance of AUROCs in the fast form of Sun and Xu, with films of one patient taken
together as Obuchowski does. With one film a patient it is DeLong's own.

References:
    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837-845.
    Sun and Xu, IEEE Signal Processing Letters 21 (2014) 1389-1393.
    Obuchowski, Nonparametric analysis of clustered ROC curve data, Biometrics 53 (1997) 567-578.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from pipelines.evaluation.cases import Floats
from pipelines.evaluation.questions import Booleans

_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class AurocTest:
    """The second AUROC against the first.

    Attributes:
        difference: Second minus first.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Of the two-sided test that they are equal.
    """

    difference: float
    low: float
    high: float
    p: float


def auroc_covariance(
    truth: Booleans, scores: Floats, groups: Sequence[str]
) -> tuple[Floats, Floats]:
    """Compute AUROCs of several scores of the same films, and their covariance.

    Args:
        truth: (n,), whether a film is positive; both kinds are there, of two patients or more each.
        scores: (k, n), higher for positive films.
        groups: Patient of each film.

    Returns:
        (k,) AUROCs and (k, k) covariance.
    """
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    m, n = len(positive), len(negative)
    among_all = rankdata(scores, axis=1)
    within_positive = rankdata(scores[:, positive], axis=1)
    within_negative = rankdata(scores[:, negative], axis=1)
    # Share of the films of the other kind that each film is on the right side of.
    beaten = np.empty(scores.shape)
    beaten[:, positive] = (among_all[:, positive] - within_positive) / n
    beaten[:, negative] = 1 - (among_all[:, negative] - within_negative) / m
    aurocs = beaten[:, positive].mean(axis=1)

    _, member = np.unique(np.asarray(groups), return_inverse=True)
    deviation = beaten - aurocs[:, None]
    sums = np.zeros((2, len(scores), int(member.max()) + 1))
    np.add.at(sums[0].T, member[positive], deviation[:, positive].T)
    np.add.at(sums[1].T, member[negative], deviation[:, negative].T)
    patients = (len(np.unique(member[positive])), len(np.unique(member[negative])))
    of_positive = _spread(sums[0], sums[0], patients[0]) / m**2
    of_negative = _spread(sums[1], sums[1], patients[1]) / n**2
    both = _spread(sums[0], sums[1], sums.shape[2]) / (m * n)
    return aurocs, of_positive + of_negative + both + both.T


def compare_aurocs(
    truth: Booleans, first: Floats, second: Floats, *, groups: Sequence[str]
) -> AurocTest | None:
    """Test whether two scores of the same films have the same AUROC.

    Args:
        truth: (n,), whether a film is positive.
        first: (n,), the one score.
        second: (n,), the other.
        groups: Patient of each film.

    Returns:
        The test; None where either kind of film comes from fewer than two patients.
    """
    names = np.asarray(groups)
    if min(len(np.unique(names[truth])), len(np.unique(names[~truth]))) < 2:  # noqa: PLR2004
        return None
    aurocs, covariance = auroc_covariance(truth, np.stack([first, second]), groups)
    difference = float(aurocs[1] - aurocs[0])
    contrast = np.array([-1.0, 1.0])
    error = float(np.sqrt(max(contrast @ covariance @ contrast, 0.0)))
    if np.isclose(error, 0, atol=1e-12):
        equal = np.isclose(difference, 0, atol=1e-12)
        return AurocTest(difference, difference, difference, p=1.0 if equal else 0.0)
    reach = float(norm.ppf((1 + _LEVEL) / 2)) * error
    p = float(2 * norm.sf(abs(difference) / error))
    return AurocTest(difference, difference - reach, difference + reach, p)


def _spread(one: Floats, other: Floats, patients: int) -> Floats:
    """Sum over patients of products of their sums, without the bias of a few patients."""
    return np.asarray(one @ other.T * patients / (patients - 1))
