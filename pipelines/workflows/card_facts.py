"""What a model card tells, as it was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an evaluation left.

    Attributes:
        name: Of its folder.
        metrics: Content of `metrics.json`.
        data: Counts of `data_card.json`; empty without.
        subgroups: Rows of `subgroups.csv`; empty without.
        robustness: Rows of `robustness.csv`; empty without.
    """

    name: str
    metrics: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    subgroups: Sequence[Mapping[str, str]] = ()
    robustness: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Everything that a card tells.

    Attributes:
        name: Of the bundle.
        metadata: Content of `configs/metadata.json`.
        point: Content of `models/operating_point.json`; empty without.
        weights: SHA-256 of the shipped weights; None where there are none.
        sections: Sections of `docs/README.md` by their headings.
        measured: In alphabetical order.
    """

    name: str
    metadata: Mapping[str, Any]
    point: Mapping[str, Any]
    weights: str | None
    sections: Mapping[str, str]
    measured: Sequence[Measurement]
