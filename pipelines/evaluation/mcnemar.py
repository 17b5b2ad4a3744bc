"""Two sets of decisions on the same films: is one right more often than chance lets it be?

McNemar's test looks at the films on which exactly one of two is right. Films of one patient are no
independent trials, so each patient counts once, with the films that the second gains less those
that it loses; if the two are equally good, either sign is equally likely. With one film a patient
this is McNemar's test itself, exact or by chi squared.

References:
    McNemar, Psychometrika 12 (1947) 153-157.
    Obuchowski, On the comparison of correlated proportions for clustered data, Statistics in
    Medicine 17 (1998) 1495-1507.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from pipelines.evaluation.cases import Integers
from pipelines.evaluation.questions import Booleans

FEW = 25
"""Below so many patients with a difference, every sign that they might have is counted out."""


@dataclass(frozen=True, slots=True)
class DecisionTest:
    """The second set of decisions against the first.

    Attributes:
        gained: Films on which only the second is right.
        lost: Films on which only the first is right.
        p: Of the two-sided test that they are right equally often.
        exact: Whether signs were counted out; otherwise it is by chi squared.
    """

    gained: int
    lost: int
    p: float
    exact: bool


def compare_decisions(
    first_right: Booleans, second_right: Booleans, *, groups: Sequence[str]
) -> DecisionTest:
    """Test whether two sets of decisions on the same films are right equally often.

    Args:
        first_right: (n,), whether the one decided right.
        second_right: (n,), whether the other did.
        groups: Patient of each film.

    Returns:
        The test.
    """
    change = second_right.astype(np.int64) - first_right.astype(np.int64)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    of_patient = np.zeros(int(member.max()) + 1, dtype=np.int64)
    np.add.at(of_patient, member, change)
    differing = of_patient[of_patient != 0]
    exact = len(differing) < FEW
    return DecisionTest(
        gained=int((change > 0).sum()),
        lost=int((change < 0).sum()),
        p=_by_signs(differing) if exact else _by_chi_squared(differing),
        exact=exact,
    )


def _by_signs(differing: Integers) -> float:
    """Share of all signs that bring the sum at least as far from 0 as it is."""
    reach = int(np.abs(differing).sum())
    # Place of each sum from -reach to reach: how many ways lead there.
    ways = np.zeros(2 * reach + 1)
    ways[reach] = 1
    for size in np.abs(differing):
        ways = (np.roll(ways, size) + np.roll(ways, -size)) / 2
    far = np.abs(np.arange(-reach, reach + 1)) >= abs(int(differing.sum()))
    return float(min(ways[far].sum(), 1.0))


def _by_chi_squared(differing: Integers) -> float:
    return float(chi2.sf(differing.sum() ** 2 / (differing**2).sum(), df=1))
