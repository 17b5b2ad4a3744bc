"""One film becomes one answer: read, predicted, and written as JSON."""

import base64
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from pipelines.deploy.web.desk import TimedReading
from pipelines.deploy.web.uploads import Upload
from pipelines.deploy.web.wishes import Wishes
from pipelines.evaluation.explanation_pictures import Plane
from pipelines.inference.predictor import Predictor
from pipelines.inference.prepared import PreparedFilm
from pipelines.inference.seen import Seeing, Seen
from pipelines.ingest.read import read_radiograph
from pipelines.networks.overlap import take_free_cores
from pipelines.predictions import Prediction, Segmentation
from pipelines.radiograph import Radiograph
from pipelines.results.records import record_json

USE = "Research only. Not a medical device, not for diagnosis."
FILM_NAME = "film"
"""Name in every record: what a client calls its file may name a patient."""

_ABOUT_FILES = frozenset({"save", "overlays", "overlay_size"})


class Answers:
    """A bundle that answers films.

    Args:
        predictor: Its network.
        reading: Reads within a time limit.
        seconds: That limit; None takes what `predict` lets a film.
    """

    def __init__(
        self, predictor: Predictor, *, reading: TimedReading, seconds: float | None
    ) -> None:
        self.predictor = predictor
        self._seeing = Seeing(predictor)
        self._reading = reading
        self._seconds = predictor.reader.seconds_per_film if seconds is None else seconds

    @property
    def about(self) -> dict[str, object]:
        """What the page and `/status` say of the bundle."""
        kind = self.predictor.postprocessing.record.__name__
        return {**self.predictor.model, "task": self.predictor.task, "record": kind}

    def __call__(self, upload: Upload, wishes: Wishes) -> dict[str, object]:
        """Answer a film; its upload is closed when it has been read.

        Args:
            upload: The film.
            wishes: What is wanted.

        Returns:
            The answer, ready for JSON.

        Raises:
            PlainfilmError: If the film cannot be read or predicted.
        """

        def load() -> tuple[Radiograph, PreparedFilm]:
            try:
                film = read_radiograph(upload.path, frame=wishes.frame - 1)
            finally:
                upload.close()
            name = FILM_NAME if wishes.frame == 1 else f"{FILM_NAME}#{wishes.frame}"
            return film, self.predictor.prepare(film, filename=name)

        film, prepared = self._reading(load, seconds=self._seconds)
        take_free_cores()
        answer = self.predictor.answer(prepared)
        return {
            **self.predictor.model,
            "use": USE,
            "record": _record(answer.record, wishes),
            "operating_point": self._operating_point(),
            "guard": None if self.predictor.guard is None else self.predictor.guard.about(),
            "film": _about_film(film),
            "seen": _seen_json(self._seeing(answer)) if wishes.explain else None,
        }

    def _operating_point(self) -> Mapping[str, object]:
        said = self.predictor.postprocessing.about()
        return {name: value for name, value in said.items() if name not in _ABOUT_FILES}


def _record(record: Prediction, wishes: Wishes) -> dict[str, Any]:
    fields = record_json(record)
    if wishes.masks and isinstance(record, Segmentation):
        fields["regions"] = [asdict(region) for region in record.regions]
    return fields


def _about_film(film: Radiograph) -> dict[str, object]:
    """Size and what was applied; identity never."""
    return {
        "rows": film.pixels.shape[1],
        "columns": film.pixels.shape[2],
        "spacing_mm": film.spacing_mm,
        **asdict(film.provenance),
    }


def _seen_json(seen: Seen) -> dict[str, object]:
    return {
        "heats": [{"name": name, "png": _png(heat)} for name, heat in seen.heats.items()],
        "scale": seen.scale,
        "outlines": [
            {
                "name": traced.name,
                "contours": [
                    np.rint(line).astype(int).ravel().tolist() for line in traced.contours
                ],
            }
            for traced in seen.outlines
        ],
    }


def _png(heat: Plane) -> str:
    """An 8-bit grey PNG, 255 where the heat is 1, as base64."""
    out = BytesIO()
    Image.fromarray(np.rint(heat.clip(0, 1) * 255).astype(np.uint8)).save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode("ascii")
