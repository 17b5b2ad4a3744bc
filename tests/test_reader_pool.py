"""Readers: how many there are, and what a film that takes too long costs."""

import threading

import pytest
import torch

from pipelines.errors import PlainfilmError, Reason
from pipelines.inference import reading
from pipelines.inference.reading import ReaderPool

FILM = torch.zeros(1, 2, 2)


@pytest.mark.parametrize(("given", "cores", "expected"), [(None, 64, 8), (None, 2, 2), (12, 2, 12)])
def test_how_many_readers_there_are(monkeypatch, given, cores, expected):
    monkeypatch.setattr(reading, "usable_cores", lambda: cores)
    together = threading.Barrier(expected)

    def load(_: int) -> torch.Tensor:
        together.wait(timeout=10)
        return FILM

    answers = list(ReaderPool(threads=given).read(load, range(expected)))
    assert [outcome for _, outcome in answers if isinstance(outcome, PlainfilmError)] == []
    assert together.n_waiting == 0


def test_no_more_readers_than_eight_by_default(monkeypatch):
    monkeypatch.setattr(reading, "usable_cores", lambda: 64)
    names = set()

    def load(_: int) -> torch.Tensor:
        names.add(threading.get_ident())
        return FILM

    assert len(list(ReaderPool().read(load, range(200)))) == 200
    assert len(names) <= 8


def test_a_film_that_takes_too_long_is_refused_and_the_others_are_read():
    release = threading.Event()

    def load(number: int) -> torch.Tensor:
        if number == 0:
            release.wait(timeout=30)
        return FILM

    answers = dict(ReaderPool(threads=1, seconds_per_film=0.2).read(load, range(4)))
    release.set()
    refusal = answers.pop(0)
    assert isinstance(refusal, PlainfilmError)
    assert refusal.reason is Reason.TOO_SLOW
    assert "--set reader.seconds_per_film=SECONDS" in str(refusal)
    assert list(answers) == [1, 2, 3]


def test_films_may_come_while_others_are_read_and_none_at_all_takes_no_time(monkeypatch):
    monkeypatch.setattr(reading, "_LOOK_SECONDS", 60.0)
    taken = []

    def films():
        for number in range(20):
            taken.append(number)
            yield number

    read = ReaderPool(threads=2, ahead=2).read(lambda _: FILM, films())
    next(read)
    assert len(taken) < 20
    assert len(list(read)) == 19
    assert list(ReaderPool(threads=1).read(lambda _: FILM, iter(()))) == []


def test_an_error_of_where_films_come_from_is_raised_where_they_are_taken():
    def films():
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(ReaderPool(threads=1).read(lambda _: FILM, films()))
