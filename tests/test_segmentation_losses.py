import pytest
import torch
from monai.losses import DiceCELoss
from torch.autograd import gradcheck
from torch.nn.functional import binary_cross_entropy_with_logits

from pipelines.errors import ConfigurationError
from pipelines.training import segmentation_losses
from pipelines.training.segmentation_losses import DiceCrossEntropy, LayerLoss


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


@pytest.mark.parametrize("batch_dice", [True, False])
def test_value_and_gradient_are_those_of_monais_dice_and_cross_entropy(
    batch, batch_dice, monkeypatch
):
    monkeypatch.setattr(segmentation_losses, "_CACHED", 700)  # seven rows of sixteen at a time
    logits, labels = batch
    ours, monais = (
        LayerLoss(pixel_weight=3.0, batch_dice=batch_dice),
        DiceCELoss(sigmoid=True, batch=batch_dice, lambda_ce=3.0),
    )

    def each_channel(given, truth):
        # Of several channels at once it would take the cross entropy between them.
        pairs = zip(given.split(1, dim=1), truth.split(1, dim=1), strict=True)
        return sum(monais(*pair) for pair in pairs) / given.shape[1]

    answers = []
    for loss in (ours, each_channel):
        given = (logits * 4).to(memory_format=torch.channels_last).requires_grad_()
        value = 0.5 * loss(given, labels.float())
        value.backward()
        answers.append((value.detach(), given.grad))
    torch.testing.assert_close(*answers, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("pixel_weight", [0.0, 5.0])
def test_gradient_is_the_slope(batch, batch_dice, pixel_weight):
    logits, labels = (each[:, :, :4, :4].double() for each in batch)
    labels[:, 0] = 0  # a bone that no film shows
    settings = (labels, pixel_weight, batch_dice)
    assert gradcheck(lambda x: DiceCrossEntropy.apply(x, *settings), logits.requires_grad_())


def test_under_autocast_the_loss_is_still_worked_out_in_float32(batch):
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 3, 1)
    films, labels = batch
    gradients = []
    for half in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = layer(films.to(memory_format=torch.channels_last))
            assert logits.dtype == (torch.bfloat16 if half else torch.float32)
            loss = LayerLoss()(logits, labels)
        assert loss.dtype == torch.float32
        loss.backward()
        gradients.append(layer.weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0.02, atol=0.002)


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
