import torch

from pipelines.training.monitoring import to_display


def test_images_are_stretched_one_by_one_for_display():
    images = torch.stack([torch.linspace(-3, 3, 4), torch.full((4,), 7.0)]).reshape(2, 1, 2, 2)
    shown = to_display(images)
    assert shown[0].min() == 0
    assert shown[0].max() == 1
    assert torch.equal(shown[1], torch.zeros(1, 2, 2))
