import numpy as np
import torch

from pipelines.training.monitoring import confusion_picture, to_display


def test_confusion_matrix_is_a_picture_that_changes_with_the_counts():
    one = confusion_picture([2.0, -1.0, 0.5], [1, 0, 0])
    two = confusion_picture([2.0, -1.0, -0.5], [1, 0, 0])
    assert one.dtype == np.uint8
    assert one.shape[2] == 3
    assert one.shape == two.shape
    assert not np.array_equal(one, two)


def test_images_are_stretched_one_by_one_for_display():
    images = torch.stack([torch.linspace(-3, 3, 4), torch.full((4,), 7.0)]).reshape(2, 1, 2, 2)
    shown = to_display(images)
    assert shown[0].min() == 0
    assert shown[0].max() == 1
    assert torch.equal(shown[1], torch.zeros(1, 2, 2))
