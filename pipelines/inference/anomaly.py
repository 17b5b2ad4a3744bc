"""The last step of a detector of anomalies: reconstructions become scores, flags and pictures."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from pipelines.errors import InputError
from pipelines.evaluation.anomaly_pictures import Plane, draw_anomaly, heat_map, write_picture
from pipelines.evaluation.anomaly_point import AnomalyPoint
from pipelines.evaluation.anomaly_scores import measure_films
from pipelines.evaluation.explanation_pictures import on_film
from pipelines.inference.output import output_errors
from pipelines.inference.prepared import Outputs, PreparedFilm, not_finite
from pipelines.inference.settings import positive
from pipelines.ingest.read import read_radiograph
from pipelines.predictions import AnomalyDetection, Prediction, Refusal
from pipelines.results.captures import Heat
from pipelines.results.overlays import Caption
from pipelines.results.task_tables import AnomalyTables
from pipelines.transforms.reading import with_channels


class DetectAnomalies:
    """Turn reconstructions into anomaly scores, and draw where film and reconstruction differ.

    Args:
        weights: The file of weights that the reconstructions come from; `operating_point.json` and
            `profile.npz` stand beside it.
        output_dir: Folder for the results.
        overlays: Write `overlays/<film>.png`: film, reconstruction and error side by side.
        threshold: A film is anomalous if its score is at least this, above 0; None takes the stored
            one.
        image_size: Side in pixels of the square to which films are squeezed; with None, neither
            this nor the next two are held against what the weights were trained with.
        clahe: Whether films are equalised by CLAHE.
        clip_limit: Of CLAHE.

    Raises:
        ConfigurationError: If the threshold is no number above 0.
    """

    record = AnomalyDetection

    def __init__(
        self,
        weights: str | Path,
        *,
        output_dir: str | Path,
        overlays: bool = True,
        threshold: float | None = None,
        image_size: int | None = None,
        clahe: bool = False,
        clip_limit: float = 2.0,
    ) -> None:
        self._weights = Path(weights)
        self._output = Path(output_dir)
        self._overlays = overlays
        self._image_size = image_size
        self._clahe = clahe
        self._clip_limit = clip_limit
        self._threshold = None if threshold is None else positive("threshold", threshold)

    @cached_property
    def operating_point(self) -> AnomalyPoint:
        """Score, threshold and limit.

        Raises:
            ConfigurationError: If a file is missing or wrong, or films are prepared in another way
                than in training.
        """
        point = AnomalyPoint.beside(self._weights)
        if self._image_size is not None:
            point.require_input(
                image_size=self._image_size, clahe=self._clahe, clip_limit=self._clip_limit
            )
        return point

    @property
    def threshold(self) -> float:
        """The threshold on the score."""
        return self.operating_point.threshold if self._threshold is None else self._threshold

    def about(self) -> Mapping[str, object]:
        """Say which score is given, and where threshold and limit lie."""
        point = self.operating_point
        return {
            "score": point.score.value,
            "threshold": self.threshold,
            "out_of_distribution_limit": point.out_of_distribution,
            "overlays": self._overlays,
        }

    def __call__(
        self, films: Sequence[PreparedFilm], outputs: Outputs
    ) -> list[AnomalyDetection | Refusal]:
        """Make a record of each film, and draw it.

        Args:
            films: n films.
            outputs: (n, 1, height, width), their reconstructions.

        Returns:
            Records in the same order; a film whose reconstruction is not finite, or whose file
            cannot be read again for its picture, becomes a refusal.
        """
        finite = np.array([bool(np.isfinite(output).all()) for output in outputs])
        made = torch.from_numpy(np.where(finite[:, None, None, None], outputs, 0.0))
        measured = measure_films(torch.stack([film.image for film in films]), made)
        point = self.operating_point
        scores = point.profile.scores(measured)[point.score]
        return [
            self._answer(film, output[0], float(score)) if good else not_finite(film.filename)
            for film, output, score, good in zip(films, outputs, scores, finite, strict=True)
        ]

    def heats(
        self,
        films: Sequence[PreparedFilm],
        records: Sequence[Prediction | Refusal],
        outputs: Outputs,
    ) -> list[Heat | None]:
        """Return where each film differs from its reconstruction.

        Args:
            films: n films.
            records: What was made of them, in the same order.
            outputs: (n, 1, height, width), their reconstructions.

        Returns:
            The error at the size of each film; None for refusals.
        """
        scale = self.operating_point.error_scale
        return [
            None if isinstance(record, Refusal) else _error_on(film, output[0], scale)
            for film, record, output in zip(films, records, outputs, strict=True)
        ]

    @property
    def tables(self) -> AnomalyTables:
        """What writes `predictions.csv` and `predictions.json`."""
        return AnomalyTables(self.operating_point.score.value, self.threshold)

    def caption(self, prediction: AnomalyDetection) -> Caption:
        """Say whether the film is anomalous, and its score."""
        title = "anomalous" if prediction.anomalous else "normal"
        return Caption(
            title=f"{title}, does not belong" if prediction.out_of_distribution else title,
            filename=prediction.filename,
            value=f"{prediction.anomaly_score:.3g}",
            share=min(1.0, prediction.anomaly_score / (2 * self.threshold)),
            colour=int(prediction.anomalous),
        )

    def _answer(
        self, film: PreparedFilm, reconstruction: Plane, score: float
    ) -> AnomalyDetection | Refusal:
        unlike = score > self.operating_point.out_of_distribution
        record = AnomalyDetection(
            filename=film.filename,
            anomaly_score=score,
            anomalous=score >= self.threshold,
            out_of_distribution=unlike,
            guard_score=score,
        )
        # A film that came from Python has no name to draw it under.
        if self._overlays and film.item.path.name:
            try:
                self._draw(film, reconstruction, record)
            except InputError as error:
                return Refusal.of(film.filename, error)
        return record

    def _draw(self, film: PreparedFilm, reconstruction: Plane, record: AnomalyDetection) -> None:
        found = "anomalous" if record.anomalous else "normal"
        belongs = ", does not belong" if record.out_of_distribution else ""
        # The network's picture is too small to look at, so the film is read once more.
        pixels = read_radiograph(film.item.path, frame=film.item.frame).pixels
        picture = draw_anomaly(
            with_channels(pixels, 1)[0],
            film.image[0].numpy(),
            reconstruction,
            error_scale=self.operating_point.error_scale,
            title=f"{found}{belongs} · score {record.anomaly_score:.3g}, "
            f"threshold {self.threshold:.3g}",
        )
        with output_errors():
            write_picture(self._output / "overlays" / film.picture_name, picture)


def _error_on(film: PreparedFilm, reconstruction: Plane, scale: float) -> Heat:
    """The error of a reconstruction, at the film's own size."""
    error = heat_map(film.image[0].numpy(), reconstruction, error_scale=scale)
    name = f"Error, 0 to {scale:.2g} of full grey, {error.shape[0]} x {error.shape[1]} places"
    return Heat(on_film(error, film.placement, film.original_size), name, is_error=True)
