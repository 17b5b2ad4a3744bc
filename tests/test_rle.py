"""Run lengths hold a mask exactly, as the definition of the table says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipelines.errors import InputError, Reason
from pipelines.results.rle import decode, encode

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


def decoded_by_definition(rle, shape):
    """Set pixel by pixel: row-major, the first pixel is number 1."""
    mask = [[False] * shape[1] for _ in range(shape[0])]
    numbers = [int(word) for word in rle.split(" ")] if rle else []
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        for pixel in range(start - 1, start - 1 + length):
            mask[pixel // shape[1]][pixel % shape[1]] = True
    return np.array(mask)


@given(masks)
def test_round_trip(mask):
    rle = encode(mask)
    assert np.array_equal(decoded_by_definition(rle, mask.shape), mask)
    assert np.array_equal(decode(rle, mask.shape), mask)


@given(masks)
def test_runs_are_ascending_and_never_touch(mask):
    numbers = list(map(int, encode(mask).split()))
    starts, lengths = numbers[::2], numbers[1::2]
    ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
    assert sum(lengths) == mask.sum()


@pytest.mark.parametrize(
    ("mask", "rle"),
    [
        ([[0, 0], [0, 0]], ""),
        ([[1, 0], [0, 0]], "1 1"),
        ([[0, 0], [0, 1]], "4 1"),
        ([[0, 1], [1, 0]], "2 2"),  # a run goes on in the next row
        ([[1, 1], [1, 1]], "1 4"),
        ([[1, 0, 1], [0, 1, 0]], "1 1 3 1 5 1"),
        ([[255, 0], [0, 7]], "1 1 4 1"),
    ],
)
def test_by_hand(mask, rle):
    assert encode(np.array(mask, np.uint8)) == rle
    assert np.array_equal(decode(rle, np.shape(mask)), np.array(mask) != 0)


def test_touching_runs_of_other_writers_are_read():
    assert np.array_equal(decode("1 2 3 1", (2, 2)), [[True, True], [True, False]])
    assert np.array_equal(decode("  2   1 ", (1, 2)), [[False, True]])


@pytest.mark.parametrize(
    "rle",
    ["1", "1 2 3", "a 1", "1 -1", "0 1", "1 0", "1.0 2", "4 2", "3 1 1 1", "1 3 2 1", "5 1",
     "1 ٣", "nan nan", "99999999999 1", "1e1 1"],
)  # fmt: skip
def test_malformed_text_is_refused(rle):
    with pytest.raises(InputError, match="expected") as caught:
        decode(rle, (2, 2))
    assert caught.value.reason is Reason.CORRUPT


@given(st.text(max_size=20))
def test_any_text_is_a_mask_or_a_refusal(text):
    try:
        assert decode(text, (3, 4)).shape == (3, 4)
    except InputError:
        return
