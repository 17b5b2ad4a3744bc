"""Results go back to where the films live: DICOM objects are written while a folder is predicted.

The objects of a film are whole on disk, and taken down in a ledger, before the film stands in the
journal; so a run that was killed goes on without a loss, and UIDs that follow from film and model
make no doubles.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.inference.output import output_errors
from pipelines.inference.prepared import Outputs, Postprocessing, PreparedFilm
from pipelines.ingest.collect import Item
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.predictions import Prediction, Refusal, Segmentation
from pipelines.results.captures import Heat
from pipelines.results.dicom_kinds import Kind, SegLayers, kinds_of, seg_layers_of
from pipelines.results.dicom_ledger import FAILURES, FOLDER, FilmObjects, ObjectLedger

if TYPE_CHECKING:
    from pipelines.results.dicom_identity import Identities
    from pipelines.results.dicom_objects import ObjectWriter

_COSMETIC = frozenset({"overlays", "save", "overlay_size", "explanations", "explained_layer"})
"""Of what shapes a run, what changes no answer: pictures beside the tables."""

_log = logging.getLogger(__name__)


class HeatSource(Protocol):
    """What knows where on a film an answer comes from."""

    def heats(
        self,
        films: Sequence[PreparedFilm],
        records: Sequence[Prediction | Refusal],
        outputs: Outputs,
        /,
    ) -> Sequence[Heat | None]:
        """Return a heat map of each film, in the same order; None where there is none."""


class DicomResults:
    """Write the DICOM objects of each film that is predicted, into `dicom/`.

    Args:
        kinds: Which ones, such as `sr,sc`; empty for none.
        postprocessing: What makes the records; it decides which kinds there is content for.
        output_dir: Output folder of the prediction.
        heat: What makes heat maps, for `sc` of a classifier or a detector of anomalies.
        seg_layers: `one` puts structures into one segmentation, where they may overlap; `separate`
            into several, in each of which none overlap.
        identity: A file that says whose films are that are no DICOM files, as `read_identities`
            takes it.

    Raises:
        ConfigurationError: If a kind does not exist, or the bundle has no content for it, or the
            file of identities is wrong.
    """

    def __init__(
        self,
        kinds: str | Sequence[str],
        *,
        postprocessing: Postprocessing,
        output_dir: str | Path,
        heat: HeatSource | None = None,
        seg_layers: str = SegLayers.ONE,
        identity: str | Path | None = None,
    ) -> None:
        segments = postprocessing.record is Segmentation
        has_content = {
            Kind.SR: True,
            Kind.SEG: segments,
            Kind.SC: segments or heat is not None,
            Kind.GSPS: True,
        }
        possible = tuple(kind for kind, there in has_content.items() if there)
        self.kinds = kinds_of(kinds, possible=possible)
        self.seg_layers = seg_layers_of(seg_layers)
        self._heat = heat if Kind.SC in self.kinds else None
        self._output = Path(output_dir)
        self._about: Mapping[str, Any] = {}
        self._identities: Identities | None = None
        if self.kinds and identity is not None:
            from pipelines.results.dicom_identity import read_identities

            self._identities = read_identities(Path(identity))

    def require_dicom(self, films: Iterable[Item]) -> None:
        """Refuse an input that no object can be made of, before anything is predicted.

        Args:
            films: The input.

        Raises:
            ConfigurationError: NO_DICOM_SOURCE if objects are asked for and no film is DICOM.
        """
        if self.kinds and not any(map(self._is_known, films)):
            raise ConfigurationError(
                Reason.NO_DICOM_SOURCE,
                "expected DICOM films for DICOM results, got none: other formats do not say which "
                "patient and study a result belongs to; predict without --dicom, or say whose they "
                "are with --set dicom_identity=FILE",
            )

    def _is_known(self, film: Item) -> bool:
        """Whether it can be known whose a film is."""
        identities = self._identities
        given = identities is not None and identities.find(film.filename) is not None
        return given or _is_dicom(film)

    def begin(self, about: Mapping[str, Any]) -> None:
        """Learn what predicts, before the first film.

        Args:
            about: What stands in `summary.json`: bundle, weights, operating point.
        """
        self._about = about

    def has(self, filename: str) -> bool:
        """Whether nothing is left to be made of a film that an earlier run has predicted."""
        return not self.kinds or self._ledger.has(filename)

    def objects_of(self, filename: str) -> FilmObjects | None:
        """Return what became of the objects of a film; None where nothing is known of it."""
        return self._ledger.find(filename) if self.kinds else None

    def forget(self, filename: str) -> None:
        """Keep nothing more of a film whose objects were taken from here."""
        if self.kinds:
            self._ledger.forget(filename)

    def take(self, filenames: Iterable[str], folder: Path) -> None:
        """Take over the objects of films that were predicted into another folder.

        Args:
            filenames: The films.
            folder: Where.

        Raises:
            OSError: If a file is missing or cannot be written.
        """
        if self.kinds:
            self._ledger.take(filenames, folder)

    def __call__(
        self,
        films: Sequence[PreparedFilm],
        records: Sequence[Prediction | Refusal],
        outputs: Outputs,
    ) -> None:
        """Write the objects of films.

        Args:
            films: Films of one batch.
            records: What was predicted, in the same order; refusals are passed over.
            outputs: What the network gave.

        Raises:
            RunError: OUTPUT_UNWRITABLE if a file cannot be written.
        """
        if not self.kinds:
            return
        heats: Sequence[Heat | None] = [None] * len(films)
        if self._heat is not None:
            heats = self._heat.heats(films, records, outputs)
        for film, record, heat in zip(films, records, heats, strict=True):
            if isinstance(record, Refusal) or not film.item.path.name:
                continue
            with output_errors():
                results = self._writer.write(
                    film.item.path, record, frame=film.item.frame, heat=heat
                )
                self._ledger.add(film.filename, results)

    def finish(self, filenames: Sequence[str]) -> Mapping[str, object]:
        """Write the tables of objects.

        Args:
            filenames: The films that were predicted.

        Returns:
            What `summary.json` says about them, under `dicom`; None where none was asked for.
        """
        if not self.kinds:
            return {"dicom": None}
        return finish_objects(self._ledger, filenames, kinds=[kind.value for kind in self.kinds])

    @property
    def _settings(self) -> str:
        """Whatever shapes an answer, and so its objects."""
        known = {"bundle", "bundle_version", "weights_sha256", "plainfilm_version"}
        machine = {"engine", "device"}
        shaping = {
            name: value
            for name, value in self._about.items()
            if name not in known | machine | _COSMETIC
        }
        return json.dumps(shaping, sort_keys=True, default=str)

    @property
    def made_by(self) -> str:
        """Names all that shapes the objects; empty where none are asked for."""
        if not self.kinds:
            return ""
        identity = None if self._identities is None else self._identities.digest
        made_by = [
            self.kinds,
            self.seg_layers,
            identity,
            self._settings,
            self._about["weights_sha256"],
        ]
        return hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]

    @cached_property
    def _ledger(self) -> ObjectLedger:
        return ObjectLedger(self._output, self.made_by)

    @cached_property
    def _writer(self) -> "ObjectWriter":
        # highdicom takes a second to import, and most runs write no DICOM.
        from pipelines.results.dicom_common import Decision, Model
        from pipelines.results.dicom_objects import ObjectWriter

        about = self._about
        return ObjectWriter(
            folder=self._ledger.folder,
            kinds=self.kinds,
            model=Model(
                bundle=about["bundle"],
                bundle_version=about["bundle_version"],
                weights_sha256=about["weights_sha256"],
                plainfilm_version=about["plainfilm_version"],
                settings=self._settings,
            ),
            seg_layers=self.seg_layers,
            identities=self._identities,
            decision=Decision(
                threshold=about.get("threshold"),
                positive_classes=tuple(about.get("positive_classes", ())),
                foreign_limit=about.get("guard_limit", about.get("out_of_distribution_limit")),
            ),
        )


def finish_objects(
    ledger: ObjectLedger, filenames: Sequence[str], *, kinds: Sequence[str]
) -> Mapping[str, object]:
    """Write the tables of objects and say how many films lack some.

    Args:
        ledger: Knows the objects.
        filenames: The films that were predicted.
        kinds: What was asked for.

    Returns:
        What `summary.json` says about them, under `dicom`.
    """
    counts = ledger.finish(filenames)
    if counts["films_without"]:
        _log.warning(
            "%s films were predicted without all of their DICOM objects: see %s/%s",
            counts["films_without"],
            FOLDER,
            FAILURES,
        )
    return {"dicom": {"kinds": list(kinds), **counts}}


def _is_dicom(film: Item) -> bool:
    try:
        return sniff(film.path) is FileFormat.DICOM
    except PlainfilmError:
        return False
