"""Long work shows that it goes on; logs hold no noise."""

import io
import logging
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import progress as progresses
from pipelines.progress import configure_logging, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@given(items=st.lists(st.integers()), on_terminal=st.booleans())
def test_items_come_through_unchanged(items, on_terminal):
    stream = Terminal() if on_terminal else io.StringIO()
    assert list(progress(items, "counting", stream=stream)) == items


def test_plain_lines_come_rarely(monkeypatch):
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(progresses.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    list(progress(range(12), "reading", stream=stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "reading: 4 of 12 films"
    assert len(lines) == 4
    assert lines[-1].startswith("reading: 12 films in 39.0 s")


def test_a_bar_is_drawn_on_a_terminal():
    stream = Terminal()
    list(progress(iter([1, 2]), "predicting", total=2, stream=stream))
    assert "predicting: 100%" in stream.getvalue()


def test_an_error_inside_goes_through():
    shown = progress([1, 0], "dividing", stream=io.StringIO())
    with pytest.raises(ZeroDivisionError):
        list(map((1).__truediv__, shown))


def test_noise_is_silenced_and_nothing_else():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        configure_logging()
        warnings.warn("nvImageCodec is not available; skipping", stacklevel=1)
        warnings.warn("parsing config_file train.json: any ...", stacklevel=1)
        warnings.warn("the loss is not finite", stacklevel=1)
    assert [str(each.message) for each in caught] == ["the loss is not finite"]
    codec = logging.getLogger("monai.data.nvimgcodec_pydicom_plugin")
    assert not codec.isEnabledFor(logging.WARNING)
