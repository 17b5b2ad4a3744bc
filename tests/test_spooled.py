"""A sequence that goes on on disk gives what went in, from whichever end it is read."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest import spooled
from pipelines.ingest.spooled import Spooled


@given(st.lists(st.text() | st.integers(), max_size=30), st.integers(0, 12), st.slices(30))
def test_it_is_the_list_of_what_was_added(values, held, cut):
    with mock.patch.object(spooled, "HELD", held):
        sequence: Spooled[object] = Spooled()
        for value in values:
            sequence.append(value)
    assert len(sequence) == len(values)
    assert list(sequence) == values
    assert list(reversed(sequence)) == values[::-1]
    assert sequence[cut] == values[cut]
    for index in (-len(values) - 1, len(values)):
        with pytest.raises(IndexError):
            sequence[index]


def test_values_may_be_added_after_some_were_read():
    with mock.patch.object(spooled, "HELD", 1):
        sequence: Spooled[int] = Spooled()
        for number in range(5):
            sequence.append(number)
            assert sequence[-1] == number
    assert list(sequence) == [*range(5)]
