"""One film at a time, from Python: a bundle becomes a function from radiograph to answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import InputError
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.engine import TorchEngine
from pipelines.inference.folder import Transform, prepare
from pipelines.inference.prepared import Postprocessing
from pipelines.ingest.collect import Item
from pipelines.predictions import Prediction, Refusal
from pipelines.radiograph import Radiograph
from pipelines.workflows.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Predictor:
    """A bundle's network with preprocessing and postprocessing, ready for single films.

    It gives the answers that `predict` gives for the same films:

        from pipelines.inference.predictor import Predictor
        from pipelines.ingest.read import read_radiograph
        from pipelines.workflows.bundle import find_bundle

        predictor = Predictor.from_bundle(find_bundle("pneumonia_classification"))
        answer = predictor.predict(read_radiograph("film.dcm"))
        print(answer.predicted_label, answer.probabilities["PNEUMONIA"])

    Attributes:
        preprocessing: Chain that prepares a film.
        engine: Network, weights and device.
        postprocessing: Makes a record of what the network gives.
    """

    preprocessing: Transform
    engine: TorchEngine
    postprocessing: Postprocessing

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, overrides: Mapping[str, object] | None = None
    ) -> "Predictor":
        """Make what the bundle's `inference.json` describes.

        Args:
            bundle: The bundle, with weights.
            overrides: Values by id of the configuration.

        Returns:
            The predictor, with its weights loaded.

        Raises:
            PlainfilmError: If weights, operating point or configuration are missing or wrong.
        """
        # Alone in its batch, a film needs no company of zeros.
        configuration = InferenceConfiguration(
            bundle, {"engine::batch_size": 1, **(overrides or {})}
        )
        predictor = cls(*map(configuration.build, ("preprocessing", "engine", "postprocessing")))
        predictor.engine.load()
        return predictor

    def predict(self, radiograph: Radiograph, *, filename: str = "") -> Prediction:
        """Predict one film.

        Args:
            radiograph: The film.
            filename: Name for the record.

        Returns:
            The record of the bundle's task.

        Raises:
            InputError: NOT_FINITE if the network's output is not finite.
        """
        prepared = prepare(self.preprocessing, radiograph, item=Item(Path(), filename))
        (record,) = self.postprocessing([prepared], self.engine(prepared.image[None]))
        if isinstance(record, Refusal):
            raise InputError(record.reason, record.message)
        return record
