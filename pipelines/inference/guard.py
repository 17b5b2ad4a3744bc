"""Mark films that do not belong, among the predictions of any bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import isfinite
from pathlib import Path

import torch

from pipelines.evaluation.guard import FILE_NAME, Guard
from pipelines.files import sha256
from pipelines.inference.prepared import PreparedFilm
from pipelines.predictions import Prediction, Refusal


class GuardMark:
    """Set `out_of_distribution` and `guard_score` of each record; read the guard when first needed.

    A film that does not belong keeps its prediction, with the mark beside it: whoever reads the
    table decides.

    Args:
        weights: The file of weights that predict; their guard stands in `guard.npz` beside it.
            Where there is none, as beside weights trained elsewhere, records stay without a mark.
    """

    def __init__(self, weights: str | Path) -> None:
        self._path = Path(weights).parent / FILE_NAME

    @cached_property
    def guard(self) -> Guard | None:
        """The guard, or None where the weights have none.

        Raises:
            RunError: If the file holds no guard.
        """
        return Guard.load(self._path) if self._path.is_file() else None

    def about(self) -> Mapping[str, object]:
        """Say which guard marks films, and where its limit lies."""
        if self.guard is None:
            return {"guard_limit": None}
        return {"guard_limit": self.guard.limit, "guard_sha256": sha256(self._path)}

    def __call__(
        self, films: Sequence[PreparedFilm], records: Sequence[Prediction | Refusal]
    ) -> Sequence[Prediction | Refusal]:
        """Return the records with their marks; refusals stay as they are."""
        if self.guard is None or not films:
            return records
        scores = self.guard.score(torch.stack([film.image for film in films]))
        flags = self.guard.flags(scores)
        return [
            record
            if isinstance(record, Refusal)
            else replace(record, out_of_distribution=bool(flag), guard_score=_finite(score))
            for record, score, flag in zip(records, scores, flags, strict=True)
        ]


def _finite(score: float) -> float | None:
    """A table holds no infinity; the mark alone says enough of a film that is not finite."""
    return float(score) if isfinite(score) else None
