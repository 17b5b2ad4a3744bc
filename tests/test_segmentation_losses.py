import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from pipelines.errors import ConfigurationError
from pipelines.training.segmentation_losses import LayerLoss


@pytest.fixture
def batch():
    torch.manual_seed(0)
    labels = (torch.rand(2, 3, 16, 16) > 0.8).byte()
    return torch.randn(2, 3, 16, 16), labels


def test_loss_is_the_weighed_sum_of_dice_over_the_batch_and_cross_entropy(batch):
    logits, labels = batch
    chance, truth = torch.sigmoid(logits), labels.float()
    overlap, total = (chance * truth).sum((0, 2, 3)), (chance + truth).sum((0, 2, 3))
    dice = (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()
    expected = dice + 0.7 * binary_cross_entropy_with_logits(logits, truth)
    assert LayerLoss(pixel_weight=0.7)(logits, labels) == pytest.approx(float(expected), rel=1e-5)


def test_without_exponent_focal_loss_is_cross_entropy(batch):
    plain, focal = LayerLoss()(*batch), LayerLoss(pixels="focal", gamma=0)(*batch)
    assert float(focal) == pytest.approx(float(plain), rel=1e-5)
    assert LayerLoss(pixels="focal", gamma=2)(*batch) < plain


@pytest.mark.parametrize("pixels", ["cross_entropy", "focal"])
def test_what_is_right_costs_nothing_and_half_precision_works(batch, pixels):
    labels = batch[1]
    loss = LayerLoss(pixels=pixels)
    assert loss((labels.bfloat16() * 2 - 1) * 40, labels) < 1e-3
    assert loss((labels.bfloat16() * 2 - 1) * -40, labels) > 0.4


def test_film_by_film_a_missed_small_mask_counts_more(batch):
    labels = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    labels[0] = 1
    labels[1, 0, 0, 0] = 1
    logits = (labels.float() * 2 - 1) * 20
    logits[1] = -20
    by_film = LayerLoss(pixel_weight=0, batch_dice=False)(logits, labels)
    assert by_film > LayerLoss(pixel_weight=0)(logits, labels) + 0.4


@pytest.mark.parametrize("wrong", [{"pixels": "dice"}, {"gamma": -1}, {"pixel_weight": -0.5}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="expected pixels 'cross_entropy' or 'focal'"):
        LayerLoss(**wrong)
