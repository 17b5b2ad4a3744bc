"""Cases refuse what cannot be evaluated."""

import numpy as np
import pytest

from pipelines.errors import DatasetError, Reason, RunError
from pipelines.evaluation.cases import Cases, require_every_class

CLASSES = ("NORMAL", "PNEUMONIA")
GOOD = {
    "filenames": ["a", "b", "c"],
    "groups": ["p1", "p1", "p2"],
    "labels": [0, 1, 1],
    "logits": [-1.0, 0.5, 2.0],
    "classes": CLASSES,
}


def make(**changes):
    given = GOOD | changes
    return Cases.of(given.pop("filenames"), given.pop("groups"), **given)


def test_arrays_have_their_types():
    cases = make(logits=np.array([-1, 0.5, 2], np.float32))
    assert (cases.labels.dtype, cases.logits.dtype, len(cases)) == (np.int64, np.float64, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"groups": ["p1", "p2"]}, "2 groups"),
        ({"labels": [0, 1]}, r"labels \(2,\)"),
        ({"logits": [0.1, 0.2]}, r"logits \(2,\)"),
        ({"labels": [0, 1, 2]}, "labels 0 to 1, got 2"),
        ({"labels": [0, 1, -1]}, "got -1"),
        ({"classes": ("A", "A")}, "two different class names"),
        ({"classes": ("A",)}, "two different class names"),
        ({"filenames": ["a", "a", "b"]}, "1 repeated of 3"),
        ({"filenames": [], "groups": [], "labels": [], "logits": []}, "at least one case"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(DatasetError, match=said):
        make(**changes)


def test_a_logit_that_is_not_finite_is_refused():
    with pytest.raises(RunError, match="1 of 3") as refusal:
        make(logits=[0.0, np.nan, 1.0])
    assert refusal.value.reason is Reason.NOT_FINITE


def test_patients_are_not_shown():
    assert "p1" not in repr(make())


def test_one_class_is_refused_where_all_are_needed():
    with pytest.raises(DatasetError, match=r"to draw, got 0 NORMAL, 3 PNEUMONIA"):
        require_every_class(make(labels=[1, 1, 1]), "to draw")


@pytest.mark.parametrize("width", [1, 2])
def test_two_classes_have_one_number_a_case(width):
    logits = np.array([[-1.0, 2.0], [0.5, 0.5], [2.0, -1.0]])[:, -width:]
    got = make(logits=logits).logits
    assert got.tolist() == ([2.0, 0.5, -1.0] if width == 1 else [3.0, 0.0, -3.0])


def test_three_classes_have_a_logit_each():
    cases = make(logits=np.eye(3), labels=[0, 1, 2], classes=("a", "b", "c"))
    assert cases.logits.shape == (3, 3)


@pytest.mark.parametrize(
    ("classes", "shape", "said"),
    [
        (CLASSES, (3, 3), "1 or 2 outputs for 2 classes, got 3"),
        (("a", "b", "c"), (3,), "3 outputs for 3 classes, got 1"),
        (("a", "b", "c"), (3, 4), "3 outputs for 3 classes, got 4"),
    ],
)
def test_outputs_of_other_classes_are_refused(classes, shape, said):
    with pytest.raises(RunError, match=said) as refusal:
        make(logits=np.zeros(shape), classes=classes)
    assert refusal.value.reason is Reason.WEIGHTS_MISMATCH
