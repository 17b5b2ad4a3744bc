import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from pipelines.training.losses import BinaryLoss

logits = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=8)


@given(logits, st.integers(0, 255))
def test_plain_loss_is_binary_cross_entropy(values, bits):
    scores = torch.tensor(values).reshape(-1, 1)
    labels = torch.tensor([(bits >> i) & 1 for i in range(len(values))])
    expected = binary_cross_entropy_with_logits(scores[:, 0], labels.float())
    assert torch.allclose(BinaryLoss()(scores, labels), expected)


def test_focal_loss_of_a_worked_example():
    # One positive film at probability 0.9: (1 - 0.9)**2 * -ln(0.9).
    score = torch.tensor([[torch.logit(torch.tensor(0.9))]])
    loss = BinaryLoss(gamma=2.0)(score, torch.tensor([1]))
    assert float(loss) == pytest.approx(0.01 * 0.1053605, rel=1e-4)


def test_smoothed_loss_is_least_at_the_smoothed_probability():
    loss = BinaryLoss(label_smoothing=0.1)
    score = torch.tensor([[torch.logit(torch.tensor(0.95))]], requires_grad=True)
    loss(score, torch.tensor([1])).backward()
    assert abs(float(score.grad)) < 1e-6


def test_positive_weight_counts_positive_films_more():
    scores, labels = torch.zeros(2, 1), torch.tensor([0, 1])
    plain, weighted = BinaryLoss()(scores, labels), BinaryLoss(positive_weight=3.0)(scores, labels)
    assert float(weighted / plain) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "wrong", [{"gamma": -1.0}, {"label_smoothing": 1.0}, {"positive_weight": 0.0}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="expected gamma"):
        BinaryLoss(**wrong)
