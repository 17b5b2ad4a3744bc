"""Splits by patient: stratified, reproducible, and as stable as can be when films are added."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence


def choose_groups(
    groups: Sequence[str], labels: Sequence[int], *, fraction: float, seed: int
) -> frozenset[str]:
    """Choose the groups of a held-out part, stratified by class.

    Groups are ordered by a hash of seed and name, apart for every combination of classes that a
    group holds, and taken while that brings the part nearer to its share of films. So the choice
    does not depend on the order of the films, and further films move few groups across.

    Args:
        groups: Group of each film.
        labels: Class of each film, same length.
        fraction: Share of the films that the part shall have, 0 to 1.
        seed: Another seed gives another choice.

    Returns:
        The groups of the part. A class with two or more groups of its own has films in the part
        and outside, unless `fraction` is 0 or 1.

    Examples:
        >>> sorted(choose_groups(["a", "a", "b", "b"], [0, 0, 0, 0], fraction=0.5, seed=0))
        ['b']
    """
    if fraction <= 0:
        return frozenset()
    if fraction >= 1:
        return frozenset(groups)
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for group, label in zip(groups, labels, strict=True):
        counts[group][label] += 1
    strata: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for group in sorted(counts, key=lambda name: group_rank(name, seed)):
        strata[tuple(sorted(counts[group]))].append(group)
    chosen: set[str] = set()
    for members in strata.values():
        chosen.update(_share(members, counts=counts, fraction=fraction))
    return frozenset(chosen)


def deal_folds(
    groups: Sequence[str], *, folds: int, seed: int, labels: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Deal groups to parts of about the same number of films, for cross-validation.

    Groups of every combination of classes are dealt apart, so that parts have about the same share
    of each class.

    Args:
        groups: Group of each film.
        folds: Number of parts.
        seed: Another seed deals otherwise.
        labels: Class of each film; None takes all films as of one.

    Returns:
        The part of each film, from 0; films of one group are in one.

    Examples:
        >>> deal_folds(["a", "a", "b", "c"], folds=2, seed=0)
        (0, 0, 1, 1)
    """
    films: dict[str, int] = defaultdict(int)
    held: dict[str, set[int]] = defaultdict(set)
    for group, label in zip(groups, labels or [0] * len(groups), strict=True):
        films[group] += 1
        held[group].add(label)
    dealt: dict[str, int] = {}
    sizes = [0] * folds
    of_class: dict[frozenset[int], list[int]] = defaultdict(lambda: [0] * folds)
    # Larger groups first, so that the smaller ones can even the parts out.
    for group in sorted(films, key=lambda name: (-films[name], group_rank(name, seed))):
        own = of_class[frozenset(held[group])]
        places = list(zip(own, sizes, strict=True))
        dealt[group] = places.index(min(places))
        own[dealt[group]] += films[group]
        sizes[dealt[group]] += films[group]
    return tuple(dealt[group] for group in groups)


def _share(
    members: Sequence[str], *, counts: Mapping[str, Mapping[int, int]], fraction: float
) -> list[str]:
    """Groups in their order, as long as each brings the number of films nearer to the share."""
    sizes = {member: sum(counts[member].values()) for member in members}
    target = fraction * sum(sizes.values())
    taken: list[str] = []
    films = 0
    for member in members:
        nearer = abs(films + sizes[member] - target) <= abs(target - films)
        if nearer and len(taken) < len(members) - 1:
            taken.append(member)
            films += sizes[member]
    if not taken and len(members) > 1:
        return [min(members, key=sizes.__getitem__)]
    return taken


def group_rank(group: str, seed: int) -> str:
    """What groups are ordered by when some are chosen: a hash of seed and name."""
    return hashlib.sha256(f"{seed} {group}".encode()).hexdigest()
