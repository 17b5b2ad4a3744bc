import logging
import zipfile
from functools import partial

import pytest
import torch
from ignite.engine import Events
from training_fixture import small_run, write_films
from training_fixture import small_run as made_run

from pipelines.errors import Reason, RunError
from pipelines.training.schedule import ReduceOnPlateau, WarmupCosine


@pytest.fixture
def films(tmp_path):
    return write_films(tmp_path / "films")


def states_equal(one, two):
    return all(torch.equal(value, two[name]) for name, value in one.items())


def test_training_learns_the_films(films, tmp_path):
    trainer, evaluator = small_run(films, tmp_path / "run", max_epochs=4)
    trainer.run()
    assert evaluator.state.metrics["val_auroc"] > 0.95
    assert evaluator.state.best_metric_epoch >= 1


def test_same_seed_gives_same_weights_with_any_number_of_loader_processes(films, tmp_path):
    runs = []
    for workers in (0, 2):
        trainer, _ = small_run(films, tmp_path / str(workers), max_epochs=3, num_workers=workers)
        trainer.run()
        runs.append(trainer.network.state_dict())
    assert states_equal(*runs)


def impatient(optimizer):
    return ReduceOnPlateau(optimizer, metric="val_loss", factor=0.5, patience=0)


@pytest.mark.parametrize("schedule", [WarmupCosine, impatient])
def test_run_cut_after_an_epoch_ends_as_if_undisturbed(schedule, films, tmp_path):
    small_run = partial(made_run, schedule=schedule)
    whole, whole_evaluator = small_run(films, tmp_path / "whole", max_epochs=4)
    whole.run()

    class CutError(Exception):
        pass

    def cut(engine):
        if engine.state.epoch == 3:
            raise CutError

    from ignite.engine import Events

    first, _ = small_run(films, tmp_path / "cut", max_epochs=4)
    first.add_event_handler(Events.ITERATION_COMPLETED, cut)
    with pytest.raises(CutError):
        first.run()
    second, second_evaluator = small_run(films, tmp_path / "cut", max_epochs=4)
    second.run()

    assert second.state.epoch == 4
    assert states_equal(whole.network.state_dict(), second.network.state_dict())
    assert states_equal(whole.average.state_dict(), second.average.state_dict())
    assert second_evaluator.state.best_metric == whole_evaluator.state.best_metric
    logs = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("whole", "cut")]
    without_times = [[line.rsplit(",", 2)[0] for line in log] for log in logs]
    assert without_times[0] == without_times[1]


def test_finished_run_is_not_trained_again(films, tmp_path):
    trainer, _ = small_run(films, tmp_path / "run", max_epochs=2)
    trainer.run()
    before = (tmp_path / "run/checkpoints/last.pt").stat().st_mtime_ns
    again, _ = small_run(films, tmp_path / "run", max_epochs=2)
    again.run()
    assert (tmp_path / "run/checkpoints/last.pt").stat().st_mtime_ns == before
    assert states_equal(trainer.network.state_dict(), again.network.state_dict())


def test_loss_that_is_not_finite_ends_the_run_with_a_plain_error(films, tmp_path):
    trainer, _ = small_run(films, tmp_path / "run")
    torch.nn.init.constant_(trainer.network[-1].bias, float("nan"))
    logging.getLogger("ignite").setLevel(logging.CRITICAL)
    with pytest.raises(RunError, match="finite loss, got nan in epoch 1, iteration 1") as refusal:
        trainer.run()
    assert refusal.value.reason is Reason.NOT_FINITE


def test_gradient_is_clipped_to_the_norm(films, tmp_path):
    trainer, _ = small_run(films, tmp_path / "run", max_epochs=1)
    trainer.max_grad_norm = 1e-3
    norms = []
    step = trainer.optimizer.step

    def observed(*args, **kwargs):
        gradients = [p.grad for p in trainer.network.parameters()]
        norms.append(float(torch.nn.utils.get_total_norm(gradients)))
        return step(*args, **kwargs)

    trainer.optimizer.step = observed
    trainer.run()
    assert norms
    assert max(norms) <= 1.01e-3


def test_gradients_are_summed_over_accumulation_steps(films, tmp_path):
    trainer, _ = small_run(films, tmp_path / "run", max_epochs=1)
    trainer.accumulation_steps = 2
    steps = []
    trainer.step, inner = lambda: (steps.append(trainer.state.iteration), inner()), trainer.step
    trainer.run()
    # Three batches: a step after the second, and one for what is left at the end of the epoch.
    assert steps == [2, 3]


def test_checkpoint_of_another_network_is_refused(films, tmp_path):
    trainer, _ = small_run(films, tmp_path / "run", max_epochs=1)
    trainer.run()
    other, _ = small_run(films, tmp_path / "run", max_epochs=1)
    other.network[-1] = torch.nn.Linear(8 * 16, 2)
    with pytest.raises(RunError, match=r"checkpoint of this network and optimizer in last.pt"):
        other.run()


def flip_a_bit(path):
    """Change weights: a bit of the first tensor, which PyTorch alone would load in silence."""
    with zipfile.ZipFile(path) as archive:
        data = archive.read(next(name for name in archive.namelist() if name.endswith("data/0")))
    content = bytearray(path.read_bytes())
    content[content.index(data)] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize("damage", [flip_a_bit, empty, cut])
@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["last.pt"], "Going on after epoch 2 of 4"),
        (["best.pt"], "Going on after epoch 3 of 4"),
        (["last.pt", "before.pt"], "training begins anew"),
    ],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    names, says, damage, films, tmp_path, caplog
):
    whole, _ = small_run(films, tmp_path / "whole", max_epochs=4)
    whole.run()
    begun, _ = small_run(films, tmp_path / "cut", max_epochs=4)
    begun.add_event_handler(Events.EPOCH_STARTED(once=4), lambda engine: engine.terminate())
    begun.run()
    for name in names:
        damage(tmp_path / "cut/checkpoints" / name)
    with caplog.at_level(logging.INFO):
        again, _ = small_run(films, tmp_path / "cut", max_epochs=4)
        again.run()
    assert says in caplog.text
    for name in ("last.pt", "best.pt"):
        one, two = (torch.load(tmp_path / run / "checkpoints" / name) for run in ("whole", "cut"))
        one, two = (each.get("network", each) for each in (one, two))
        assert states_equal(one, two), name


def test_early_stopping_ends_a_run_and_its_continuation(films, tmp_path):
    trainer, _ = small_run(films, tmp_path / "run", max_epochs=9, patience=2, learning_rate=1e-9)
    trainer.run()
    assert trainer.state.epoch < 9
    stopped = trainer.state.epoch
    again, _ = small_run(films, tmp_path / "run", max_epochs=9, patience=2, learning_rate=1e-9)
    again.run()
    assert again.state.epoch == stopped


# torch doubts a pickle of another protocol before it refuses it.
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_checkpoints_run_no_code_from_the_file(films, tmp_path):
    import os
    import pickle

    class Harmful:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harmed"),))

    folder = tmp_path / "run/checkpoints"
    folder.mkdir(parents=True)
    (folder / "last.pt").write_bytes(pickle.dumps(Harmful()))
    trainer, _ = small_run(films, tmp_path / "run", max_epochs=1)
    with pytest.raises(RunError):
        trainer.run()
    assert not (tmp_path / "harmed").exists()


def test_an_epoch_without_validation_says_nothing_about_stopping(films, tmp_path, caplog):
    trainer, evaluator = small_run(films, tmp_path / "run", max_epochs=9, interval=4, patience=2)
    trainer.run()
    best = evaluator.state.best_metric_epoch
    assert best in {4, 8, 9}
    assert trainer.state.epoch == (8 if best == 4 else 9)


def test_a_run_shorter_than_the_interval_is_validated_at_its_end(films, tmp_path):
    trainer, evaluator = small_run(films, tmp_path / "run", max_epochs=2, interval=5)
    trainer.run()
    assert evaluator.state.best_metric_epoch == 2
    assert (tmp_path / "run/checkpoints/best.pt").is_file()
