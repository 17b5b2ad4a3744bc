"""Trackers of runs beside TensorBoard, by choice: MLflow in a local folder, Weights & Biases."""

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, get_args

from ignite.engine import Engine, Events

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import write_json
from pipelines.nearest import right_names
from pipelines.training.evaluator import RadiographEvaluator
from pipelines.training.hyperparameters import Setting, recorded_settings
from pipelines.training.monitoring import measured
from pipelines.training.ranks import ranks
from pipelines.training.trainer import RadiographTrainer

TrackerKind = Literal["mlflow", "wandb"]

_IDENTITY = "tracker.json"
_MOST_PARAMETERS = 100


class Tracker:
    """Hand settings and the metrics of each epoch to a tracker; to none by default.

    A resumed run goes on with the same entry. Nothing is sent over a network unless `online` is
    set. Attach it behind the handler that validates.

    Args:
        kind: `mlflow`, `wandb`, or None for none.
        output_dir: Folder of the run; its name is that of the entry.
        evaluator: Whose metrics to hand on.
        directory: Where the tracker keeps its files; give runs that shall be seen together the same
            one. By default `tracking` in `output_dir`.
        project: Under which name runs are gathered.
        parameters: Settings to show; by default those of the run's `config.json`.
        online: For Weights & Biases: send to its server, with the login of this machine.

    Raises:
        ConfigurationError: If there is no such tracker, or its package is not installed.
    """

    def __init__(
        self,
        kind: TrackerKind | None = None,
        *,
        output_dir: Path | str,
        evaluator: RadiographEvaluator,
        directory: Path | str | None = None,
        project: str = "plainfilm",
        parameters: Mapping[str, Setting] | None = None,
        online: bool = False,
    ) -> None:
        if kind is not None:
            _require(kind)
        self.kind = kind
        self.output_dir = Path(output_dir)
        self.directory = Path(directory or self.output_dir / "tracking")
        self.evaluator = evaluator
        self.project = project
        self.parameters = parameters
        self.online = online
        self._entry: _Entry | None = None

    def attach(self, engine: Engine) -> None:
        """Register for the trainer's start, epochs and end; of several processes the first does."""
        if self.kind is None or not ranks().is_main:
            return
        engine.add_event_handler(Events.STARTED, self._open)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)
        engine.add_event_handler(Events.COMPLETED, self._close)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _open(self, _trainer: Engine) -> None:
        parameters = self.parameters
        if parameters is None:
            parameters = recorded_settings(self.output_dir)
        path = self.output_dir / _IDENTITY
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self.directory.mkdir(parents=True, exist_ok=True)
        opened: Callable[..., _Entry] = _MlflowEntry if self.kind == "mlflow" else _WandbEntry
        self._entry = opened(self, identity=known.get(self.kind), parameters=dict(parameters))
        write_json(path, {**known, str(self.kind): self._entry.identity})

    def _write(self, trainer: RadiographTrainer) -> None:
        if self._entry is not None:
            epoch = int(trainer.state.epoch)
            metrics = {
                "train_loss": float(trainer.state.metrics["train_loss"]),
                "learning_rate": float(trainer.optimizer.param_groups[0]["lr"]),
                **measured(self.evaluator, epoch),
            }
            self._entry.write(metrics, epoch=epoch)

    def _close(self, _trainer: Engine) -> None:
        if self._entry is not None:
            self._entry.close(failed=False)
            self._entry = None

    def _fail(self, _trainer: Engine, error: BaseException) -> None:
        if self._entry is not None:
            self._entry.close(failed=True)
            self._entry = None
        # A handler of this event takes the place of raising it.
        raise error


class _Entry(Protocol):
    """A run in a tracker."""

    identity: str

    def write(self, metrics: Mapping[str, float], *, epoch: int) -> None:
        """Add the metrics of an epoch."""

    def close(self, *, failed: bool) -> None:
        """End the run."""


class _MlflowEntry:
    """A run in an MLflow store: a SQLite file in the tracker's folder."""

    def __init__(
        self, tracker: Tracker, *, identity: str | None, parameters: Mapping[str, Setting]
    ) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        folder = tracker.directory.resolve()
        # MLflow 3.13 and later refuse a store of plain files.
        self._client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
        if identity is not None:
            self.identity = identity
            self._client.update_run(identity, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(tracker.project)
        experiment = (
            found.experiment_id
            if found is not None
            else self._client.create_experiment(
                tracker.project, artifact_location=(folder / "artifacts").as_uri()
            )
        )
        run = self._client.create_run(experiment, run_name=tracker.output_dir.name)
        self.identity = str(run.info.run_id)
        given = [Param(name, str(value)) for name, value in parameters.items()]
        for start in range(0, len(given), _MOST_PARAMETERS):
            self._client.log_batch(self.identity, params=given[start : start + _MOST_PARAMETERS])

    def write(self, metrics: Mapping[str, float], *, epoch: int) -> None:
        """Add the metrics of an epoch."""
        for name, value in metrics.items():
            self._client.log_metric(self.identity, name, value, step=epoch)

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self._client.set_terminated(self.identity, status="FAILED" if failed else "FINISHED")


class _WandbEntry:
    """A run of Weights & Biases, kept in the tracker's folder until `wandb sync`."""

    def __init__(
        self, tracker: Tracker, *, identity: str | None, parameters: Mapping[str, Setting]
    ) -> None:
        import wandb

        self._run = wandb.init(
            project=tracker.project,
            name=tracker.output_dir.name,
            id=identity,
            resume="allow",
            dir=str(tracker.directory),
            mode="online" if tracker.online else "offline",
            config=dict(parameters),
            # Neither code, nor console, nor what this machine is called and does.
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_disable_stats=True,
                silent=True,
            ),
        )
        self.identity = str(self._run.id)

    def write(self, metrics: Mapping[str, float], *, epoch: int) -> None:
        """Add the metrics of an epoch."""
        self._run.log({"epoch": epoch, **metrics}, step=epoch)

    def close(self, *, failed: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=int(failed))


def _require(kind: TrackerKind) -> None:
    known = get_args(TrackerKind)
    if kind not in known:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME, f"no tracker named '{kind}'{right_names(str(kind), known)}"
        )
    if find_spec(kind) is None:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the package {kind} for tracker '{kind}', it is not installed; "
            f"install it by `pip install 'plainfilm[{kind}]'`, or leave the tracker out",
        )
