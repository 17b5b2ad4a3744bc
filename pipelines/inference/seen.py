"""What lies over a film to show its answer: heat maps and outlines, as data, not as a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from pipelines.evaluation.anomaly_pictures import heat_map
from pipelines.evaluation.anomaly_point import AnomalyPoint
from pipelines.evaluation.cases import Floats
from pipelines.evaluation.explanation_pictures import Plane, on_film
from pipelines.evaluation.region_pictures import outline
from pipelines.inference.explain import ExplainedNetwork
from pipelines.inference.predictor import Answer, Predictor
from pipelines.predictions import Classification, Segmentation
from pipelines.results.rle import decode
from pipelines.transforms.geometry import resize_area

MOST_HEAT_PIXELS = 512
"""Longer side of a heat map: finer than any network here sees."""

_STRAIGHTER = 0.5  # how far a line may leave its contour, in pixels of the film


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """A structure on a film.

    Attributes:
        name: Class name.
        contours: Closed lines around its parts and holes, (n, 2) each, column and row of the film.
    """

    name: str
    contours: tuple[Floats, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What lies over a film.

    Attributes:
        heats: By what they are: 0 to 1, (h, w), covering the whole film whatever its size.
        outlines: Structures that were found, in class order.
        scale: What 1 of a heat map means.
    """

    heats: Mapping[str, Plane] = field(default_factory=dict)
    outlines: tuple[Traced, ...] = ()
    scale: str = ""


class Seeing:
    """Finds what lies over the films that a predictor answers.

    Args:
        predictor: The predictor; of a classifier a copy of the network is looked into.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._network = ExplainedNetwork(predictor.engine)

    def __call__(self, answer: Answer) -> Seen:
        """Return heat map or outlines of an answer.

        Args:
            answer: What the predictor gave.

        Returns:
            Of a classifier, where it looked for the class that it called (nothing of an exported
            one, which has no gradients); of a detector of
            anomalies, where film and reconstruction differ; of a segmentation, the outlines.
        """
        if isinstance(answer.record, Classification):
            return self._looked_at(answer, answer.record)
        if isinstance(answer.record, Segmentation):
            return Seen(outlines=_traced(answer.record, answer.film.original_size))
        return self._error(answer)

    def _looked_at(self, answer: Answer, record: Classification) -> Seen:
        film = answer.film
        if not self._network.has_gradients:
            return Seen()
        (explanation,) = self._network(film.image[None], target=[record.predicted_class])
        height, width = film.original_size
        share = min(1.0, MOST_HEAT_PIXELS / max(height, width))
        small = (max(1, round(height * share)), max(1, round(width * share)))
        heats = {
            name: _resized(on_film(heat, film.placement, small), small)
            for name, heat in explanation.heats.items()
        }
        return Seen(heats, scale="largest weight")

    def _error(self, answer: Answer) -> Seen:
        point = self._predictor.postprocessing.operating_point
        if not isinstance(point, AnomalyPoint):
            return Seen()
        scale = point.error_scale
        heat = heat_map(answer.film.image[0].numpy(), answer.outputs[0], error_scale=scale)
        share = min(1.0, MOST_HEAT_PIXELS / max(heat.shape))
        rows, columns = (max(1, round(side * share)) for side in heat.shape)
        name = "Error of the reconstruction"
        return Seen({name: _resized(heat, (rows, columns))}, scale=f"{scale:.2g} of full grey")


def _resized(heat: Plane, size: tuple[int, int]) -> Plane:
    if heat.shape == size:
        return heat
    small: Plane = resize_area(heat[None], height=size[0], width=size[1])[0]
    return small


def _traced(record: Segmentation, size: tuple[int, int]) -> tuple[Traced, ...]:
    found = ((region.name, outline(decode(region.rle, size))) for region in record.regions)
    return tuple(
        Traced(name, tuple(map(_straighter, traced.contours)))
        for name, traced in found
        if traced is not None
    )


def _straighter(contour: Floats) -> Floats:
    points = cv2.approxPolyDP(contour.astype(np.float32)[:, None], _STRAIGHTER, True)
    straight: Floats = points[:, 0].astype(np.float64)
    return straight
