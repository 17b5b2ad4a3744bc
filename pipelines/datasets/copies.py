"""Copies among the films of a data set: files with the same bytes, and pictures of one film."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pipelines.datasets import copies_cache
from pipelines.datasets.groups import tie_groups
from pipelines.datasets.near_copies import find_near_copies
from pipelines.datasets.survey import SurveyedFilm, survey_films


class NearPair(NamedTuple):
    """Two files that show one film and do not have the same bytes.

    Attributes:
        first: The one.
        second: The other.
        similarity: How far their detail agrees, see `matching`; up to 1.
    """

    first: Path
    second: Path
    similarity: float


class FilmCopies:
    """The copies among films, looked for when they are first asked for.

    Args:
        paths: The films, in any order.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = sorted(set(paths))

    def surveyed(self, path: Path) -> SurveyedFilm:
        """Return what a film's file told."""
        return self._looked[0][path]

    @cached_property
    def same_bytes(self) -> tuple[tuple[Path, ...], ...]:
        """Files with the same bytes, for each content that occurs more than once."""
        by_digest: dict[str, list[Path]] = defaultdict(list)
        for path, film in self._looked[0].items():
            if film.digest:
                by_digest[film.digest].append(path)
        return tuple(tuple(paths) for paths in by_digest.values() if len(paths) > 1)

    @cached_property
    def sets(self) -> tuple[tuple[Path, ...], ...]:
        """Films that are copies of each other, however indirectly; two or more a set."""
        place = {path: number for number, path in enumerate(self._paths)}
        pairs = ((pair.first, pair.second) for pair in self.near)
        tied = tie_groups(
            [str(path) for path in self._paths],
            [[place[path] for path in each] for each in (*self.same_bytes, *pairs)],
        )
        members: dict[str, list[Path]] = defaultdict(list)
        for path, name in zip(self._paths, tied, strict=True):
            members[name].append(path)
        return tuple(tuple(paths) for paths in members.values() if len(paths) > 1)

    @property
    def near(self) -> tuple[NearPair, ...]:
        """Pairs of near copies; of files with the same bytes the first stands for all."""
        return self._looked[1]

    @cached_property
    def _looked(self) -> tuple[dict[Path, SurveyedFilm], tuple[NearPair, ...]]:
        kept = copies_cache.find(self._paths)
        if kept is None:
            kept = self._look()
            copies_cache.keep(self._paths, *kept)
        films, near = kept
        pairs = (NearPair(self._paths[a], self._paths[b], value) for a, b, value in near)
        return dict(zip(self._paths, films, strict=True)), tuple(pairs)

    def _look(self) -> tuple[list[SurveyedFilm], list[copies_cache.IndexPair]]:
        films = survey_films(self._paths)
        first: dict[str, int] = {}
        for place, film in enumerate(films):
            first.setdefault(film.digest, place)
        places = list(first.values())
        near = [
            (places[a], places[b], value)
            for a, b, value in find_near_copies([films[place].grey for place in places])
        ]
        return [replace(film, grey=None) for film in films], near


def places_of(sets: Iterable[Iterable[Path]], paths: Iterable[Path]) -> list[tuple[int, ...]]:
    """Restrict sets of films to some films.

    Args:
        sets: Sets of films, such as `FilmCopies.sets`.
        paths: Some films, each once.

    Returns:
        Places among `paths`, ascending, two or more a set.
    """
    place = {path: number for number, path in enumerate(paths)}
    within = (tuple(sorted(place[path] for path in each if path in place)) for each in sets)
    return [each for each in within if len(each) > 1]
