"""One film at a time, from Python: a bundle becomes a function from radiograph to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import InputError
from pipelines.files import read_json_object
from pipelines.inference.about import about_model
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.engine import Engine
from pipelines.inference.fingerprint import test_image
from pipelines.inference.folder import Transform, prepare
from pipelines.inference.guard import GuardMark
from pipelines.inference.prepared import Outputs, Postprocessing, PreparedFilm
from pipelines.inference.reading import ReaderPool
from pipelines.ingest.collect import Item
from pipelines.predictions import Prediction, Refusal
from pipelines.radiograph import Radiograph
from pipelines.workflows.bundle import Bundle


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What was predicted for a film, and what it came from.

    Attributes:
        record: The record of the bundle's task.
        film: The film as the network saw it, and as it was read.
        outputs: What the network gave for it, without the axis of films.
    """

    record: Prediction
    film: PreparedFilm
    outputs: Outputs


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

    Films are taken whole: a region that `predict --region mask` cuts out is not looked for.

    Attributes:
        preprocessing: Chain that prepares a film.
        engine: Network, weights and device.
        postprocessing: Makes a record of what the network gives.
        guard: Marks films that do not belong; None where nothing does.
        reader: How long `predict` lets a film take to be read.
        model: Which bundle, version and weights these are, as `summary.json` says it.
        task: What is predicted, in words.
    """

    preprocessing: Transform
    engine: Engine
    postprocessing: Postprocessing
    guard: GuardMark | None = None
    reader: ReaderPool = field(default_factory=ReaderPool)
    model: Mapping[str, object] = field(default_factory=dict)
    task: str = ""

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        overrides: Mapping[str, object] | None = None,
        *,
        overlays: Sequence[str] = (),
    ) -> "Predictor":
        """Make what the bundle's `inference.json` describes.

        Args:
            bundle: The bundle, with weights.
            overrides: Values by id of the configuration.
            overlays: Names or paths of configurations merged after `inference.json`.

        Returns:
            The predictor, with its weights loaded.

        Raises:
            PlainfilmError: If weights, operating point or configuration are missing or wrong.
        """
        # Alone in its batch, a film needs no company of zeros and has all cores.
        alone = {"engine::batch_size": 1, "engine::at_once": 1}
        configuration = InferenceConfiguration(
            bundle, {**alone, **(overrides or {})}, overlays=overlays
        )
        parts = map(configuration.build, ("preprocessing", "engine", "postprocessing"))
        preprocessing, engine, postprocessing = parts
        additions = configuration.build("evaluator").additions
        engine.begin(lambda: test_image(preprocessing))
        return cls(
            preprocessing,
            engine,
            postprocessing,
            next((each for each in additions if isinstance(each, GuardMark)), None),
            configuration.build("reader"),
            about_model(bundle.root, engine),
            str(read_json_object(bundle.metadata).get("task", "")),
        )

    def prepare(self, radiograph: Radiograph, *, filename: str = "") -> PreparedFilm:
        """Prepare one film for the network.

        Args:
            radiograph: The film.
            filename: Name for the record.

        Returns:
            The prepared film.
        """
        return prepare(self.preprocessing, radiograph, item=Item(Path(), filename))

    def answer(self, film: PreparedFilm) -> Answer:
        """Predict one film that was prepared, and keep what pictures of the answer need.

        Args:
            film: What `prepare` gives.

        Returns:
            The record, and what it came from.

        Raises:
            InputError: NOT_FINITE if the network's output is not finite.
        """
        outputs = self.engine(film.image[None])
        records = self.postprocessing([film], outputs)
        if self.guard is not None:
            records = self.guard([film], records)
        (record,) = records
        if isinstance(record, Refusal):
            raise InputError(record.reason, record.message)
        return Answer(record, film, outputs[0])

    def predict(self, radiograph: Radiograph, *, filename: str = "") -> Prediction:
        """Predict one film.

        Args:
            radiograph: The film.
            filename: Name for the record.

        Returns:
            The record of the bundle's task, with the guard's mark.

        Raises:
            InputError: NOT_FINITE if the network's output is not finite.
        """
        return self.answer(self.prepare(radiograph, filename=filename)).record
