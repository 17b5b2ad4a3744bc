"""Pictures of where a classifier looked, written while a folder is predicted."""

import copy
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.evaluation.explanation_pictures import on_film, write_explanation
from pipelines.evaluation.explanations import Explanation, Method, explain, method_of
from pipelines.inference.engine import Engine
from pipelines.inference.output import output_errors
from pipelines.inference.prepared import Outputs, PreparedFilm
from pipelines.ingest.read import read_radiograph
from pipelines.predictions import Classification, Prediction, Refusal
from pipelines.results.captures import Heat

_log = logging.getLogger(__name__)


class ExplainedNetwork:
    """An engine's network, as it is looked into while the engine goes on predicting.

    Args:
        engine: The engine. A copy of its network is used, since other batches may run at the same
            time.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()

    def __call__(
        self,
        images: torch.Tensor,
        *,
        target: Sequence[int],
        method: Method = Method.GRADCAM,
        layer: str | None = None,
    ) -> list[Explanation]:
        """Explain what was said of films, one call at a time.

        Args:
            images: As of `explain`.
            target: As of `explain`.
            method: As of `explain`.
            layer: As of `explain`.

        Returns:
            An explanation a film.
        """
        with self._lock:
            return explain(self._network, images, target=target, method=method, layer=layer)

    @property
    def has_gradients(self) -> bool:
        """Whether the network has what Grad-CAM needs; one of an exported file has not."""
        return self._engine.has_gradients

    @cached_property
    def _network(self) -> nn.Module:
        if not self.has_gradients:
            return self._engine.load()
        # What was loaded in inference mode has no gradients; a copy made outside of it has.
        with torch.inference_mode(mode=False):
            return copy.deepcopy(self._engine.load())


class Explainer:
    """Write a picture of where the network looked, for each film that was classified.

    The picture stands in `explanations/` under the name of the film. It explains the class that
    was called, on the film as it is, without test-time augmentation.

    Args:
        engine: The engine whose network is explained.
        output_dir: Output folder of the prediction.
        layer: As in `grad_cam`.
        method: `gradcam`; `occlusion`, which covers a hundred places one by one and so takes a
            hundred runs of the network a film; or `both`, and how far they agree.
        enabled: Whether any picture is written.

    Raises:
        ConfigurationError: If there is no such method.
    """

    folder = "explanations"

    def __init__(
        self,
        engine: Engine,
        output_dir: str | Path,
        *,
        layer: str | None = None,
        method: str = Method.GRADCAM,
        enabled: bool = True,
    ) -> None:
        self._enabled = enabled
        self._network = ExplainedNetwork(engine)
        self._output = Path(output_dir) / self.folder
        self._layer = layer
        self._method = method_of(method)

    def about(self) -> Mapping[str, object]:
        """Say what the pictures show, for `summary.json`.

        Raises:
            ConfigurationError: If the network is one that cannot be looked into so.
        """
        if not self._enabled:
            return {"explanations": None}
        if not self._is_possible:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a network of PyTorch to explain, got an exported one, which has no "
                "gradients; predict with the bundle, or take --set explainer::method=occlusion",
            )
        about = {"explanations": self._method.in_words}
        if self._method is Method.OCCLUSION:
            return about
        return about | {"explained_layer": self._layer or "last feature map"}

    def __call__(
        self, films: Sequence[PreparedFilm], records: Sequence[Prediction | Refusal]
    ) -> Sequence[Prediction | Refusal]:
        """Write the picture of each film that was classified.

        Args:
            films: Films of one shape.
            records: What was predicted, in the same order; refusals and others are passed over.

        Returns:
            The records; of two methods they say how far these agree.

        Raises:
            RunError: OUTPUT_UNWRITABLE if a picture cannot be written.
        """
        answers = list(records)
        if self._enabled:
            for place, record, explanation in self._explained(films, records, self._method):
                self._write(films[place], record, explanation)
                answers[place] = replace(record, explanation_agreement=explanation.agreement)
        return answers

    def heats(
        self, films: Sequence[PreparedFilm], records: Sequence[Prediction | Refusal], _: Outputs
    ) -> list[Heat | None]:
        """Return where the network looked on each film, whether pictures are written or not.

        Args:
            films: Films of one shape.
            records: What was predicted, in the same order.

        Returns:
            A map of each film that was classified, by the first method, or by occlusion where the
            network has no gradients; None for others.
        """
        found: list[Heat | None] = [None] * len(films)
        method = self._method if self._is_possible else Method.OCCLUSION
        for place, _record, explanation in self._explained(films, records, method):
            name, plane = next(iter(explanation.heats.items()))
            film = films[place]
            found[place] = Heat(on_film(plane, film.placement, film.original_size), name)
        return found

    @property
    def _is_possible(self) -> bool:
        return self._network.has_gradients or self._method is Method.OCCLUSION

    def _explained(
        self,
        films: Sequence[PreparedFilm],
        records: Sequence[Prediction | Refusal],
        method: Method,
    ) -> Iterator[tuple[int, Classification, Explanation]]:
        """Explain each film that was classified: its place, its record, and why."""
        classified = [
            (place, record)
            for place, record in enumerate(records)
            if isinstance(record, Classification)
        ]
        if not classified:
            return
        images = torch.stack([films[place].image for place, _ in classified])
        classes = [record.predicted_class for _, record in classified]
        explained = self._network(images, target=classes, method=method, layer=self._layer)
        for (place, record), explanation in zip(classified, explained, strict=True):
            yield place, record, explanation

    def _write(self, film: PreparedFilm, record: Classification, explanation: Explanation) -> None:
        try:
            original = read_radiograph(film.item.path, frame=film.item.frame).pixels
        except PlainfilmError as error:  # it was read a moment ago, so it has just been removed
            _log.warning("no explanation of %r: %s", film.filename, error)
            return
        height, width = original.shape[1:]
        title = f"{record.predicted_label} {record.confidence:.1%}"
        if record.out_of_distribution:
            title += ", but unlike the training films"
        with output_errors():
            write_explanation(
                self._output / film.picture_name,
                original,
                {
                    name: on_film(heat, film.placement, (height, width))
                    for name, heat in explanation.heats.items()
                },
                title=title,
                filename=film.filename,
                note=explanation.note,
            )
