"""The confusion matrix while a run trains."""

import numpy as np
import pytest

from pipelines.training.confusion import confusion_picture


def test_confusion_matrix_is_a_picture_that_changes_with_the_counts():
    one = confusion_picture([2.0, -1.0, 0.5], [1, 0, 0])
    two = confusion_picture([2.0, -1.0, -0.5], [1, 0, 0])
    assert one.dtype == np.uint8
    assert one.shape[2] == 3
    assert one.shape == two.shape
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("classes", [(), ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")])
def test_seven_classes_show_the_most_probable_one(classes):
    logits = np.random.default_rng(0).normal(size=(30, 7))
    labels = np.arange(30) % 7
    one = confusion_picture(logits.tolist(), labels.tolist(), classes=classes)
    # Adding a number to every logit of a film calls the same class.
    same = confusion_picture((logits + 3).tolist(), labels.tolist(), classes=classes)
    other = confusion_picture((-logits).tolist(), labels.tolist(), classes=classes)
    assert one.dtype == np.uint8
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
