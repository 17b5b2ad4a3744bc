"""The bundles of a node, each loaded once: what predicts, and its scratch."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.deploy.node.settings import BatchSettings, Rule
from pipelines.deploy.packages.opened import find_model
from pipelines.inference.batch import BatchPredictor
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.stream import Record
from pipelines.results.dicom_ledger import FilmObjects


class Model:
    """A bundle with the settings of a rule, loaded once.

    Args:
        rule: Bundle, overlays, overrides and kinds of objects.
        batch: How films are gathered.
        folder: Scratch for what is written while predicting.
    """

    def __init__(self, rule: Rule, batch: BatchSettings, folder: Path) -> None:
        given: dict[str, object] = {"dataset_dir": str(folder), "output_dir": str(folder)}
        if batch.size is not None:
            given["engine::batch_size"] = batch.size
        if rule.dicom:
            given["dicom"] = ",".join(rule.dicom)
        configuration = InferenceConfiguration(
            find_model(rule.bundle), {**given, **rule.overrides}, overlays=rule.overlays
        )
        self.folder = folder
        self.predictor: BatchPredictor = configuration.build("evaluator")
        self.about = self.predictor.begin()

    @property
    def batch_size(self) -> int:
        """Films that go through the network together."""
        return self.predictor.engine.batch_size

    def objects_of(self, filename: str) -> FilmObjects | None:
        """Return what became of the DICOM objects of a film; None where none was asked for."""
        dicom = self.predictor.dicom
        return None if dicom is None else dicom.objects_of(filename)

    def clear(self) -> None:
        """Remove all scratch, between two runs."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def forget(self, filename: str) -> None:
        """Remove what was written of a film and is not kept."""
        if self.predictor.dicom is not None:
            self.predictor.dicom.forget(filename)
        for folder in (path for path in self.folder.iterdir() if path.is_dir()):
            for path in folder.glob(f"{filename}*"):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    def result(self, records: Sequence[Record]) -> Mapping[str, Any]:
        """Return what `prediction.json` holds of a film."""
        named = ("bundle", "bundle_version", "weights_sha256", "plainfilm_version", "threshold")
        model = {name: self.about[name] for name in named if name in self.about}
        made = [{"kind": type(record).__name__, **asdict(record)} for record in records]
        return {**model, "predictions": made}
