import sys
import time
from types import SimpleNamespace

import pytest
from ignite.engine import Engine

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.training import trackers
from pipelines.training.trackers import Tracker

METRICS = {"val_auroc": 0.75, "confusion": [1, 2]}
PARAMETERS = {f"setting{index}": index for index in range(120)} | {"loss": "Focal"}


def evaluator(epoch=None):
    return SimpleNamespace(state=SimpleNamespace(metrics=METRICS, epoch=epoch))


def train(tracker, *, epochs=2, fails=False):
    """Run an engine as a trainer is run, whose validation follows each epoch."""

    def iterate(engine, _batch):
        tracker.evaluator.state.epoch = engine.state.epoch
        if fails and engine.state.epoch == epochs:
            raise RunError(Reason.NOT_FINITE, "expected a finite loss")

    engine = Engine(iterate)
    engine.optimizer = SimpleNamespace(param_groups=[{"lr": 0.5}])
    engine.state.metrics["train_loss"] = 0.25
    tracker.attach(engine)
    engine.run([0], max_epochs=epochs)


@pytest.fixture
def mlflow():
    return pytest.importorskip("mlflow.tracking", reason="mlflow is not installed")


def test_nothing_is_tracked_by_default(tmp_path):
    train(Tracker(output_dir=tmp_path / "run", evaluator=evaluator()))
    assert list(tmp_path.iterdir()) == []


def test_unknown_tracker_and_missing_package_are_told(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="no tracker named 'mlfow'; did you mean 'mlflow'"):
        Tracker("mlfow", output_dir=tmp_path, evaluator=evaluator())
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'plainfilm\[wandb\]'"):
        Tracker("wandb", output_dir=tmp_path, evaluator=evaluator())


# MLflow asks SQLAlchemy for what that is about to drop.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_mlflow_keeps_settings_and_epochs_of_a_run_and_of_its_continuation(tmp_path, mlflow):
    output = tmp_path / "runs" / "one"
    given = {"output_dir": output, "evaluator": evaluator(), "parameters": PARAMETERS}
    with pytest.raises(RunError):
        train(Tracker("mlflow", directory=tmp_path / "shared", **given), fails=True)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'shared' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("plainfilm")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    train(Tracker("mlflow", directory=tmp_path / "shared", **given), epochs=3)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "one"
    assert run.data.params == {name: str(value) for name, value in PARAMETERS.items()}
    assert run.data.metrics == {"train_loss": 0.25, "learning_rate": 0.5, "val_auroc": 0.75}
    steps = [each.step for each in client.get_metric_history(run.info.run_id, "val_auroc")]
    assert sorted(set(steps)) == [1, 2, 3]


def written(path):
    """Return what its own process wrote, which may be a moment later."""
    for _ in range(100):
        if b"val_auroc" in path.read_bytes():
            break
        time.sleep(0.2)
    return path.read_bytes()


def test_wandb_keeps_a_run_offline(tmp_path):
    pytest.importorskip("wandb", reason="wandb is not installed")
    output = tmp_path / "runs" / "one"
    train(Tracker("wandb", output_dir=output, evaluator=evaluator(), parameters=PARAMETERS))
    (kept,) = (output / "tracking" / "wandb").glob("offline-run-*")
    (events,) = kept.glob("*.wandb")
    content = written(events)
    assert b"val_auroc" in content
    assert b"setting7" in content
    assert sys.executable.encode() not in content
