import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from pipelines.training.pictures import add_curves, with_masks, with_reconstructions


def written(folder, logits, labels, **options):
    with SummaryWriter(str(folder)) as writer:
        add_curves(writer, logits, labels, step=7, **options)
    read = EventAccumulator(str(folder))
    read.Reload()
    return read.Tags()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard")
def test_two_classes_have_one_curve_of_each_kind(tmp_path):
    tags = written(tmp_path, [-1.0, 0.2, 2.0, -0.5], [0, 1, 1, 0], classes=["no", "yes"])
    assert tags["tensors"] == ["validation/precision_recall/yes"]
    assert tags["images"] == ["validation/roc"]


def test_each_of_several_classes_that_has_films_has_a_curve(tmp_path):
    logits = np.random.default_rng(0).normal(size=(12, 3)).tolist()
    tags = written(tmp_path, logits, [0, 1] * 6)
    assert tags["tensors"] == [f"validation/precision_recall/{index}" for index in (0, 1)]


def test_films_of_one_class_have_no_curves(tmp_path):
    tags = written(tmp_path, [0.1, 0.2], [1, 1])
    assert tags["tensors"] == tags["images"] == []


def test_masks_are_painted_where_they_are_and_nowhere_else():
    images = torch.full((2, 1, 16, 16), 0.5)
    masks = torch.zeros(2, 2, 16, 16)
    masks[0, 0, 2:8, 2:8] = 1
    logits = torch.full((2, 2, 16, 16), -3.0)
    logits[0, 1, 9:14, 9:14] = 3.0
    shown = with_masks(images, masks, logits)
    assert tuple(shown.shape) == (2, 3, 16, 32)
    grey = (shown == 0.5).all(dim=1)
    assert grey[1].all()
    truth, predicted = ~grey[0, :, :16], ~grey[0, :, 16:]
    assert torch.equal(truth, masks[0, 0].bool())
    assert torch.equal(predicted, logits[0, 1] > 0)
    # The outline is of full colour, the inside lets the film through.
    outline, inside = shown[0, :, 2, 2], shown[0, :, 5, 5]
    assert (outline - 0.5).abs().sum() > 2 * (inside - 0.5).abs().sum()


def test_reconstruction_stands_between_film_and_difference():
    film = torch.rand(3, 1, 8, 8)
    made = film.clone()
    made[0, 0, 0, 0] += 3.0
    shown = with_reconstructions(film, made)
    assert tuple(shown.shape) == (3, 1, 8, 24)
    assert torch.equal(shown[..., :8], film)
    assert torch.equal(shown[..., 8:16], made.clamp(0, 1))
    assert shown[0, 0, 0, 16] == 1
    assert (shown[1:, ..., 16:] == 0).all()
