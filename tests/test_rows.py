"""Rows stand in order, and a name that stands twice is seen, whatever the names are."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pipelines.results.rows import Names, in_rows


@dataclass(frozen=True)
class Row:
    filename: str


names = st.lists(st.text("ab/.#12é\udcff", max_size=5), max_size=12)


@given(names)
def test_rows_are_sorted_by_name_and_then_by_number(given_names):
    def place(row):
        name, mark, frame = row.filename.rpartition("#")
        return (name, int(frame)) if mark and frame.isdecimal() else (row.filename, 0)

    rows = [*map(Row, given_names)]
    ordered = in_rows(rows)
    assert list(ordered) == sorted(rows, key=place)
    assert [ordered[n] for n in range(len(rows))] == list(ordered)
    assert list(ordered[1:3]) == list(ordered)[1:3]


@given(names)
def test_names_that_are_there_twice_are_counted(given_names):
    kept = Names(len(given_names))
    for name in given_names:
        kept.add(name)
    assert kept.repeated() == len(given_names) - len({*given_names})
