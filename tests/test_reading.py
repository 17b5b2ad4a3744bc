"""Films are read ahead: each one exactly once, within bounds, whatever a film does."""

import threading
import time
from collections import Counter

import pytest
import torch

from pipelines.errors import InputError, PlainfilmError, Reason
from pipelines.inference.reading import ReaderPool, refusal_of


def image_of(number: int) -> torch.Tensor:
    return torch.full((1, 2, 2), float(number))


@pytest.mark.parametrize("threads", [1, 4])
def test_each_task_comes_once_with_its_own_image(threads):
    tasks = list(range(100))
    done = list(ReaderPool(threads, ahead=3).read(image_of, tasks))
    assert Counter(task for task, _ in done) == Counter(tasks)
    assert all(float(image[0, 0, 0]) == task for task, image in done)


def test_no_task_at_all():
    assert list(ReaderPool(2).read(image_of, [])) == []


def test_readers_wait_when_the_network_is_slow():
    begun = []

    def load(number: int) -> torch.Tensor:
        begun.append(number)
        return image_of(number)

    done = ReaderPool(2, ahead=4).read(load, list(range(100)))
    next(done)
    time.sleep(0.2)
    # One handed out, four that wait, and one in the hands of each reader.
    assert len(begun) <= 1 + 4 + 2
    done.close()


def test_readers_end_when_nobody_wants_the_rest():
    done = ReaderPool(3, ahead=3).read(image_of, list(range(1000)))
    next(done)
    done.close()
    deadline = time.monotonic() + 5
    while [t for t in threading.enumerate() if t.name == "film-reader"]:
        assert time.monotonic() < deadline, "readers are still at work"
        time.sleep(0.01)


def test_an_unexpected_exception_names_its_root_and_no_value():
    def load(number: int) -> torch.Tensor:
        if number == 1:
            raise RuntimeError("applying transform to CANARY^NAME") from KeyError("CANARY^NAME")
        return image_of(number)

    done = dict(ReaderPool(2).read(load, [0, 1, 2]))
    refusal = done[1]
    assert isinstance(refusal, PlainfilmError)
    assert refusal.reason is Reason.INTERNAL
    assert "KeyError" in str(refusal)
    assert "CANARY" not in str(refusal)
    assert isinstance(done[0], torch.Tensor)
    assert isinstance(done[2], torch.Tensor)


def test_a_refusal_is_found_behind_what_wrapped_it():
    inner = InputError(Reason.TRUNCATED, "expected 4 bytes, got 2; copy the file again")
    outer = RuntimeError("applying transform")
    outer.__cause__ = inner
    assert refusal_of(outer) is inner


def test_a_slow_film_is_refused_and_the_others_are_not_held_up():
    release = threading.Event()

    def load(number: int) -> torch.Tensor:
        if number in {0, 1}:
            release.wait(30)
        return image_of(number)

    started = time.monotonic()
    done = list(ReaderPool(2, seconds_per_film=0.2).read(load, list(range(20))))
    took = time.monotonic() - started
    release.set()
    outcomes = dict(done)
    assert len(done) == len(outcomes) == 20
    assert took < 10
    for number in (0, 1):
        refusal = outcomes[number]
        assert isinstance(refusal, PlainfilmError)
        assert refusal.reason is Reason.TOO_SLOW
    assert all(isinstance(outcomes[n], torch.Tensor) for n in range(2, 20))
