"""Room for films that several processes map: its names go, and with them what was left behind."""

from contextlib import ExitStack

import numpy as np
import pytest

from pipelines.errors import ConfigurationError, Reason
from pipelines.training import shared_films
from pipelines.training.shared_films import make_shared, open_shared, places_of

FIRST = {"image": np.ones((1, 4, 4), np.uint16), "label": np.zeros((2, 4), np.uint8)}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Memory and temporary folder of a machine."""
    memory, temporary = tmp_path / "memory", tmp_path / "temporary"
    memory.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(shared_films, "_MEMORY", memory)
    monkeypatch.setattr(shared_films.tempfile, "gettempdir", lambda: str(temporary))
    return memory, temporary


def test_two_have_the_same_films_and_no_name_is_left(places):
    memory, _ = places
    killed = memory / "plainfilm-films-of-a-killed-run"
    killed.mkdir()
    (killed / "image.npy").write_bytes(b"x")
    with ExitStack() as named:
        one = make_shared(FIRST, 3, named=named)
        other = open_shared(places_of(one))
        assert not killed.exists()
        with ExitStack() as another_run:
            make_shared(FIRST, 3, named=another_run)
        assert len([*memory.iterdir()]) == 1, "that of a run that lives stays"
    assert not [*memory.iterdir()]
    assert {key: array.shape for key, array in other.items()} == {
        "image": (3, 1, 4, 4),
        "label": (3, 2, 4),
    }
    other["image"][2] = 7
    assert one["image"][2].max() == 7


def test_without_room_in_memory_they_stand_on_disk_and_without_any_they_are_refused(
    places, monkeypatch
):
    memory, temporary = places
    memory.rmdir()
    with ExitStack() as named:
        make_shared(FIRST, 3, named=named)
        assert len([*temporary.iterdir()]) == 1

        def full(*_):
            raise OSError

        monkeypatch.setattr(shared_films, "make_array", full)
        with pytest.raises(ConfigurationError, match=r"room for 0\.0 GB") as refusal:
            make_shared(FIRST, 3, named=named)
    assert refusal.value.reason is Reason.OUTPUT_UNWRITABLE
    assert not [*temporary.iterdir()]
