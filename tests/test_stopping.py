"""Told to end, a run keeps what it has done, within the epoch too, and goes on from there."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from ignite.engine import Events
from process_fixture import context
from training_fixture import small_run, write_films

from pipelines.told_to_end import STATUS
from pipelines.training.stopping import stop_request


def states_equal(one, two):
    return all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return write_films(tmp_path_factory.mktemp("films"))


def stopped_at(iteration, films, folder, **options):
    trainer, _ = small_run(films, folder, **options)
    trainer.add_event_handler(
        Events.ITERATION_STARTED(once=iteration), lambda _: os.kill(os.getpid(), signal.SIGTERM)
    )
    with stop_request.heeded(), pytest.raises(SystemExit) as ended:
        trainer.run()
    assert ended.value.code == STATUS == 143
    return torch.load(folder / "checkpoints" / "last.pt", weights_only=True)


@pytest.mark.parametrize(
    ("iteration", "epoch", "batches", "workers"),
    [(1, 0, 1, 0), (5, 1, 2, 0), (5, 1, 2, 2), (6, 2, None, 0)],
    ids=["first batch", "middle", "middle, loader processes", "last batch"],
)
def test_a_run_told_to_end_goes_on_as_if_undisturbed(
    films, tmp_path, iteration, epoch, batches, workers
):
    whole, whole_evaluator = small_run(films, tmp_path / "whole", max_epochs=3)
    whole.run()
    state = stopped_at(iteration, films, tmp_path / "cut", max_epochs=3, num_workers=workers)
    assert state["epoch"] == epoch
    assert (state["within_epoch"] or {}).get("batches") == batches

    second, evaluator = small_run(films, tmp_path / "cut", max_epochs=3, num_workers=workers)
    second.run()
    assert second.state.iteration == whole.state.iteration == 9
    assert states_equal(whole.network.state_dict(), second.network.state_dict())
    assert states_equal(whole.average.state_dict(), second.average.state_dict())
    assert evaluator.state.best_metric == whole_evaluator.state.best_metric
    whole_log, cut_log = (
        (tmp_path / name / "log.csv").read_text().splitlines() for name in ("whole", "cut")
    )
    times_apart = [[line.rsplit(",", 2)[0] for line in log] for log in (whole_log, cut_log)]
    assert times_apart[0] == times_apart[1]


def test_random_numbers_of_the_network_go_on_too(films, tmp_path, monkeypatch):
    import training_fixture

    plain = training_fixture.small_network

    def with_dropout():
        network = plain()
        network.insert(5, torch.nn.Dropout(0.3))
        return network

    monkeypatch.setattr(training_fixture, "small_network", with_dropout)
    whole, _ = small_run(films, tmp_path / "whole", max_epochs=2)
    whole.run()
    stopped_at(4, films, tmp_path / "cut", max_epochs=2)
    second, _ = small_run(films, tmp_path / "cut", max_epochs=2)
    second.run()
    assert states_equal(whole.network.state_dict(), second.network.state_dict())


def test_gradients_that_are_being_summed_are_not_cut_apart(films, tmp_path):
    def run(folder, cut=None):
        trainer, _ = small_run(films, folder, max_epochs=2)
        trainer.accumulation_steps = 2
        if cut is None:
            trainer.run()
            return trainer
        trainer.add_event_handler(
            Events.ITERATION_STARTED(once=cut), lambda _: os.kill(os.getpid(), signal.SIGTERM)
        )
        with stop_request.heeded(), pytest.raises(SystemExit):
            trainer.run()
        return trainer

    whole = run(tmp_path / "whole")
    cut = run(tmp_path / "cut", cut=1)
    assert cut.state.iteration == 2
    second = run(tmp_path / "cut")
    assert states_equal(whole.network.state_dict(), second.network.state_dict())


def test_outside_of_training_the_process_ends_at_once_and_signals_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, stop_request.heeded():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == STATUS
    assert signal.getsignal(signal.SIGTERM) is before


def take_too_long(training):
    with stop_request.heeded(grace_seconds=0.1), ThreadPoolExecutor() as readers:
        stop_request.training = training
        readers.submit(time.sleep, 60)
        os.kill(os.getpid(), signal.SIGTERM)
        assert training, "it goes on only where there is something to keep"
        time.sleep(60)


@pytest.mark.parametrize("training", [True, False])
def test_what_takes_too_long_is_ended_all_the_same(training):
    process = context.Process(target=take_too_long, args=(training,))
    process.start()
    process.join(50)
    assert process.exitcode == STATUS
