import pytest
from ignite.engine import Engine, Events

from pipelines.training.waiting import Waiting


class Clock:
    """Time that passes only where the test says so."""

    now = 0.0

    def __call__(self):
        return self.now

    def passes(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr("pipelines.training.waiting.time.perf_counter", made)
    return made


class Films:
    """Two batches, one second each, behind a loader that takes three to start."""

    def __init__(self, clock):
        self.clock = clock

    def __iter__(self):
        self.clock.passes(3)
        for _ in range(2):
            self.clock.passes(1)
            yield None

    def __len__(self):
        return 2


def test_every_epoch_counts_its_own_waits_with_the_start_of_the_loader(clock):
    engine, waiting, seen = Engine(lambda *_: clock.passes(10)), Waiting(), []
    waiting.attach(engine)
    engine.add_event_handler(
        Events.EPOCH_COMPLETED, lambda: seen.append((waiting.seconds, waiting.percent()))
    )
    engine.run(Films(clock), max_epochs=3)
    assert seen == [(5, 20.0)] * 3


def test_the_waits_of_a_validation_inside_the_epoch_are_added(clock):
    waiting, inside = Waiting(), Waiting()
    clock.passes(50)
    inside.seconds, waiting.seconds = 2, 3
    assert waiting.percent() == 6
    assert waiting.percent(inside) == 10
