"""One film at a time, from Python: a bundle becomes a function from radiograph to answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.errors import InputError
from pipelines.inference.classify import Classify
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.engine import TorchEngine
from pipelines.inference.folder import Transform, prepare
from pipelines.predictions import Classification, Refusal
from pipelines.radiograph import Radiograph
from pipelines.workflows.bundle import Bundle


@dataclass(frozen=True, slots=True)
class Predictor:
    """A classifier with its preprocessing and operating point, ready for single films.

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
        postprocessing: Makes a record of logits.
    """

    preprocessing: Transform
    engine: TorchEngine
    postprocessing: Classify

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

    def predict(self, radiograph: Radiograph, *, filename: str = "") -> Classification:
        """Predict one film.

        Args:
            radiograph: The film.
            filename: Name for the record.

        Returns:
            The classification.

        Raises:
            InputError: NOT_FINITE if the network's output is not finite.
        """
        prepared = prepare(self.preprocessing, radiograph)
        (record,) = self.postprocessing([filename], self.engine(prepared[None]))
        if isinstance(record, Refusal):
            raise InputError(record.reason, record.message)
        return record
