import json

import numpy as np
import pytest

from pipelines.errors import InputError, Reason
from pipelines.ingest.annotations import inspect_annotation, read_annotation

CLASSES = ("finger-1", "Lunate", "Radius")
SIZE = (40, 30)


def entry(label, points=((2, 3), (12, 3), (7, 9)), **other):
    return {
        "id": "x",
        "type": "poly_seg",
        "attributes": {},
        "points": points,
        "label": label,
    } | other


def write(tmp_path, *entries, **metadata):
    content = {"annotations": list(entries), "metadata": metadata or {"height": 40, "width": 30}}
    path = tmp_path / "film.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def problems(path):
    return inspect_annotation(path, classes=CLASSES, size=SIZE).problems


def test_good_file_gives_the_points_of_each_name(tmp_path):
    path = write(tmp_path, *(entry(name) for name in reversed(CLASSES)))
    polygons = read_annotation(path, classes=CLASSES, size=SIZE)
    assert polygons.keys() == set(CLASSES)
    assert np.array_equal(polygons["Lunate"], [[2, 3], [12, 3], [7, 9]])


def test_everything_wrong_is_told_at_once(tmp_path):
    path = write(
        tmp_path,
        entry("finger-1", [[1, 1], [2, 2]]),
        entry("Lunatum"),
        entry("Radius"),
        entry("Radius"),
        {"points": []},
        height=41,
        width=30,
    )
    assert problems(path) == (
        "expected the size of the film, 40 x 30, got 41 x 30",
        "finger-1: expected at least 3 points, got 2",
        "got the unknown label 'Lunatum'; did you mean 'Lunate'?",
        "expected a label in every annotation, got none in number 5",
        "the label Radius stands there 2 times",
        "no polygon for Lunate",
    )


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ([[1, 1], [5, 5], [5, "x"]], "expected points as a list of"),
        ([[1, 1], [5, 5], [5]], "expected points as a list of"),
        ([[1, 1], [5, 5], [float("nan"), 5]], "expected points as a list of"),
        ([[1, 1], [5, 5], [True, 5]], "expected points as a list of"),
        ("none", "expected points as a list of"),
        ([[1, 1], [5, 5], [1, 1], [5, 5]], "expected at least 3 points"),
        ([[1, 1], [5, 5], [30, 5], [31.5, 5]], "got 1 outside, such as [31.5, 5]"),
        ([[1, 1], [5, 5], [5, -2]], "got 1 outside, such as [5, -2]"),
    ],
)
def test_bad_points_are_refused(tmp_path, points, problem):
    path = write(tmp_path, entry("finger-1", points), entry("Lunate"), entry("Radius"))
    (told,) = problems(path)
    assert told.startswith("finger-1: ")
    assert problem in told


def test_a_point_a_pixel_outside_is_moved_to_the_edge(tmp_path):
    points = [[-1, -0.5], [30, 2], [5, 40]]
    path = write(tmp_path, entry("finger-1", points), entry("Lunate"), entry("Radius"))
    found = read_annotation(path, classes=CLASSES, size=SIZE)
    assert found["finger-1"].tolist() == [[0, 0], [29, 2], [5, 39]]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"annotations": [', "expected JSON, got JSONDecodeError in line 1"),
        (b"\xff\xfe\x00", "expected JSON"),
        (b"[]", "a list named 'annotations'"),
        (b'{"annotations": {}}', "a list named 'annotations'"),
        (b"[" * 100_000, "expected JSON"),
    ],
    ids=["cut", "binary", "list", "no list", "deep"],
)
def test_what_is_no_annotation_file_is_refused(tmp_path, content, problem):
    path = tmp_path / "film.json"
    path.write_bytes(content)
    (told,) = problems(path)
    assert problem in told


def test_reading_refuses_with_the_first_problems(tmp_path):
    path = write(tmp_path, entry("finger-1"))
    with pytest.raises(InputError, match="no polygon for Lunate, Radius") as seen:
        read_annotation(path, classes=CLASSES, size=SIZE)
    assert seen.value.reason is Reason.CORRUPT


def test_another_kind_of_drawing_is_refused(tmp_path):
    path = write(tmp_path, entry("finger-1", type="bbox"), entry("Lunate"), entry("Radius"))
    assert problems(path) == ("finger-1: expected a polygon of the type poly_seg, got 'bbox'",)
