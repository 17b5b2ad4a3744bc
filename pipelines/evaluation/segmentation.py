"""The evaluation of a segmentation on one split: figures of each structure and their mean.

Films come one at a time, at their original size, and only their figures stay in memory. The figure
of a structure is its mean over films; the mean figure is the mean of those over structures, so that
each structure counts alike. Intervals come from resampling patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.errors import DatasetError, Reason
from pipelines.evaluation.bootstrap import bootstrap_intervals
from pipelines.evaluation.cases import Floats, Integers
from pipelines.evaluation.figures import Figure
from pipelines.evaluation.regions import Mask
from pipelines.evaluation.segmentation_figures import RegionAgreement, Tolerance, compare_masks
from pipelines.evaluation.trained_on import SplitFacts
from pipelines.radiograph import Pixels

MEAN = "mean"
"""Stands for all structures together in tables."""

Unit: TypeAlias = Literal["mm", "px"]
"""`mm` where every film of the split tells its spacing, otherwise `px`."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedFilm:
    """One film with its true and its predicted masks, at its original size.

    Attributes:
        filename: Path relative to the data set, with `/`.
        group: Patient; films of one patient are resampled together. It identifies people, so it
            stays out of every table and out of `repr`.
        pixels: float32, 0 to 1, (channel, height, width), for the pictures.
        truth: bool or uint8, (structures, height, width).
        prediction: The same.
        spacing_mm: Between rows and between columns; None where unknown.
    """

    filename: str
    group: str = field(repr=False)
    pixels: Pixels = field(repr=False)
    truth: Mask = field(repr=False)
    prediction: Mask = field(repr=False)
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationCases:
    """The figures of every film; n films, c structures.

    Attributes:
        filenames: Unique.
        groups: Patient of each film.
        classes: Names of the structures, in the order of the masks.
        unit: Of distances.
        tolerance: Of surface Dice, in that unit.
        figures: By name, float64, (n, c) each; NaN where undefined.
        components: int64, (n, c), connected parts of the prediction.
        missed: bool, (n, c), there but not predicted.
        invented: bool, (n, c), predicted but not there.
    """

    filenames: tuple[str, ...]
    groups: tuple[str, ...] = field(repr=False)
    classes: tuple[str, ...]
    unit: Unit
    tolerance: float
    figures: Mapping[str, Floats]
    components: npt.NDArray[np.int64]
    missed: npt.NDArray[np.bool_]
    invented: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of films."""
        return len(self.filenames)

    def take(self, places: Integers) -> "SegmentationCases":
        """Return some of the films.

        Args:
            places: Which, at least one.
        """
        return replace(
            self,
            filenames=tuple(self.filenames[place] for place in places),
            groups=tuple(self.groups[place] for place in places),
            figures={name: values[places] for name, values in self.figures.items()},
            components=self.components[places],
            missed=self.missed[places],
            invented=self.invented[places],
        )

    def of_film(self, name: str) -> Floats:
        """Return the mean of a figure over the structures of each film.

        Args:
            name: Of the figure.

        Returns:
            (n,); NaN where it is undefined for every structure.
        """
        values = self.figures[name]
        defined = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            mean: Floats = np.where(defined, values, 0).sum(axis=1) / defined.sum(axis=1)
        return mean


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationEvaluation:
    """What was measured, on what, and how.

    Attributes:
        split: Name of the split.
        n: Number of films.
        n_groups: Number of patients.
        classes: Names of the structures.
        unit: Of distances, `mm` or `px`.
        tolerance: Of surface Dice, in that unit.
        figures: Mean over structures of every figure, with its 95 % interval by patient.
        regions: The figures of each structure by its name.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        facts: What is known of the split and of the weights.
        threshold_origin: How the thresholds were chosen, and on what.
    """

    split: str
    n: int
    n_groups: int
    classes: tuple[str, ...]
    unit: Unit
    tolerance: float
    figures: Mapping[str, Figure]
    regions: Mapping[str, Mapping[str, Figure]]
    resamples: int
    seed: int
    facts: SplitFacts = field(default_factory=SplitFacts)
    threshold_origin: str = ""

    @property
    def note(self) -> str:
        """How was decided, and what else must be known to believe the figures."""
        return self.facts.warned(f"Thresholds: {self.threshold_origin or 'not stated'}")


def figure_titles(unit: Unit, tolerance: float) -> dict[str, str]:
    """Return every figure by its name, in the order of all tables, with its title for people."""
    return {
        "dice": "Dice",
        "iou": "IoU",
        f"hd95_{unit}": f"HD95 ({unit})",
        "surface_dice": f"Surface Dice ({tolerance:g} {unit})",
        "one_piece": "In one piece",
    }


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFilm:
    """What stays of a film.

    Attributes:
        filename: As in `SegmentedFilm`.
        group: As in `SegmentedFilm`.
        regions: The figures of each structure, in class order.
        has_spacing: Whether it tells its spacing.
    """

    filename: str
    group: str = field(repr=False)
    regions: tuple[RegionAgreement, ...]
    has_spacing: bool


def measure_film(
    film: SegmentedFilm, *, classes: Sequence[str], tolerance: Tolerance
) -> MeasuredFilm:
    """Measure one film.

    Args:
        film: The film.
        classes: Names of the structures, in the order of the masks.
        tolerance: Of surface Dice.

    Returns:
        Its figures.

    Raises:
        DatasetError: If masks do not have a channel for each structure and the size of the film.
    """
    expected = (len(classes), *film.pixels.shape[1:])
    if film.truth.shape != expected or film.prediction.shape != expected:
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected masks of {expected} for {film.filename!r}, got {film.truth.shape} and "
            f"{film.prediction.shape}; bring both to the original size of the film",
        )
    regions = tuple(
        compare_masks(truth, prediction, spacing_mm=film.spacing_mm, tolerance=tolerance)
        for truth, prediction in zip(film.truth, film.prediction, strict=True)
    )
    return MeasuredFilm(film.filename, film.group, regions, film.spacing_mm is not None)


def gather_cases(
    films: Sequence[MeasuredFilm], *, classes: Sequence[str], tolerance: Tolerance
) -> SegmentationCases:
    """Lay the figures of films out as tables.

    Args:
        films: Measured with the same classes and tolerance.
        classes: Names of the structures.
        tolerance: Of surface Dice.

    Returns:
        The figures. `one_piece` is 1 where the prediction is connected, 0 where it is in several
        parts, undefined where it is empty.

    Raises:
        DatasetError: If there is no film, or a name stands twice.
    """
    names = tuple(film.filename for film in films)
    if not films or len(set(names)) < len(names):
        raise DatasetError(
            Reason.DATASET_LAYOUT,
            f"expected at least one film and each once, got {len(names)} films of "
            f"{len(set(names))} names; choose a split with films, remove repeated ones",
        )
    unit: Unit = "mm" if all(film.has_spacing for film in films) else "px"
    components = _column(films, "components")
    return SegmentationCases(
        filenames=names,
        groups=tuple(film.group for film in films),
        classes=tuple(classes),
        unit=unit,
        tolerance=tolerance.mm if unit == "mm" else tolerance.px,
        figures={
            "dice": _column(films, "dice"),
            "iou": _column(films, "iou"),
            f"hd95_{unit}": _column(films, f"hd95_{unit}"),
            "surface_dice": _column(films, f"surface_dice_{unit}"),
            "one_piece": np.where(components, components == 1, np.nan),
        },
        components=components.astype(np.int64),
        missed=_column(films, "missed").astype(np.bool_),
        invented=_column(films, "invented").astype(np.bool_),
    )


def evaluate_cases(
    cases: SegmentationCases, *, split: str, resamples: int = 2000, seed: int = 0
) -> SegmentationEvaluation:
    """Summarise figures of films, each with its 95 % interval by patient.

    Args:
        cases: The figures of every film.
        split: Name of the split.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        The evaluation.
    """
    values = {name: means[0] for name, means in _means(cases, np.ones((1, len(cases)))).items()}
    intervals = bootstrap_intervals(
        lambda weights: _means(cases, weights), cases.groups, resamples=resamples, seed=seed
    )

    def figures_of(structure: int | str) -> dict[str, Figure]:
        keys = {name: f"{name} {structure}" for name in cases.figures}
        return {name: Figure.of(values[key], intervals[key]) for name, key in keys.items()}

    return SegmentationEvaluation(
        split=split,
        n=len(cases),
        n_groups=len(set(cases.groups)),
        classes=cases.classes,
        unit=cases.unit,
        tolerance=cases.tolerance,
        figures=figures_of(MEAN),
        regions={name: figures_of(place) for place, name in enumerate(cases.classes)},
        resamples=resamples,
        seed=seed,
    )


def _means(cases: SegmentationCases, weights: Floats) -> dict[str, Floats]:
    """Compute each figure of each structure, and their mean, for each row of weights."""
    found = {}
    for name, values in cases.figures.items():
        defined = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            regions = (weights @ np.where(defined, values, 0)) / (weights @ defined)
        known = ~np.isnan(regions)
        with np.errstate(invalid="ignore"):
            found[f"{name} {MEAN}"] = np.where(known, regions, 0).sum(axis=1) / known.sum(axis=1)
        found |= {f"{name} {k}": column for k, column in enumerate(regions.T)}
    return found


def _column(films: Sequence[MeasuredFilm], name: str) -> Floats:
    return np.array([[getattr(each, name) for each in film.regions] for film in films], np.float64)
