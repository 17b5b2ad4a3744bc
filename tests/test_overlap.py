"""Batches at once, and what PyTorch may use beside them."""

import threading

import pytest
import torch

from pipelines.networks import overlap
from pipelines.networks.overlap import in_passing_thread, overlapped, take_free_cores


@pytest.fixture(autouse=True)
def threads_stay():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def threads_of_a_free_thread():
    def take():
        take_free_cores()
        return torch.get_num_threads()

    return in_passing_thread(take)


def test_each_batch_has_one_thread_and_a_single_film_the_free_cores(monkeypatch):
    monkeypatch.setattr(overlap, "usable_cores", lambda: 3)
    torch.set_num_threads(3)
    batches = overlapped(lambda _: torch.get_num_threads(), range(5), at_once=2)
    seen = [(threads, threads_of_a_free_thread()) for threads in batches]
    assert seen == [(1, 1)] * 5
    assert threads_of_a_free_thread() == 3


def test_cores_are_free_again_after_an_error(monkeypatch):
    monkeypatch.setattr(overlap, "usable_cores", lambda: 3)
    with pytest.raises(ZeroDivisionError):
        list(overlapped(lambda number: 1 // number, [1, 0], at_once=2))
    assert threads_of_a_free_thread() == 3


def test_answers_come_in_order_whoever_is_first():
    waits = [threading.Event() for _ in range(2)]

    def answer(number):
        if number == 0:
            assert waits[1].wait(10)
        waits[min(number, 1)].set()
        return number

    assert list(overlapped(answer, range(4), at_once=2)) == [0, 1, 2, 3]


def test_a_passing_thread_gives_back_what_it_did_or_raised():
    assert in_passing_thread(threading.current_thread) not in threading.enumerate()
    with pytest.raises(ZeroDivisionError):
        in_passing_thread(lambda: 1 // 0)
