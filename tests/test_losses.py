import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from pipelines.training.losses import BinaryLoss, CrossEntropy, class_weights, positive_weight

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


def test_alpha_multiplies_the_whole_loss():
    scores, labels = torch.tensor([[0.3], [-1.0]]), torch.tensor([0, 1])
    plain = BinaryLoss(gamma=1.5)(scores, labels)
    assert float(BinaryLoss(gamma=1.5, alpha=2.0)(scores, labels) / plain) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "wrong",
    [{"gamma": -1.0}, {"label_smoothing": 1.0}, {"positive_weight": 0.0}, {"alpha": 0.0}],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"expected (gamma|alpha)"):
        BinaryLoss(**wrong)


rows = st.lists(
    st.tuples(st.integers(0, 2), *[st.floats(-20, 20, width=32)] * 3), min_size=1, max_size=8
)


@given(rows, st.sampled_from([0.0, 0.1, 0.5]))
def test_plain_cross_entropy_is_that_of_torch(rows, smoothing):
    labels, scores = torch.tensor([r[0] for r in rows]), torch.tensor([r[1:] for r in rows])
    expected = cross_entropy(scores, labels, label_smoothing=smoothing)
    found = CrossEntropy(label_smoothing=smoothing)(scores, labels)
    assert torch.allclose(found, expected, atol=1e-5)


@given(
    logits,
    st.integers(0, 255),
    st.sampled_from([0.0, 1.5, 2.0]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([1.0, 3.0]),
)
def test_two_logits_lose_what_their_difference_does(values, bits, gamma, smoothing, weight):
    one = torch.tensor(values).reshape(-1, 1)
    labels = torch.tensor([(bits >> i) & 1 for i in range(len(values))])
    options = {"gamma": gamma, "label_smoothing": smoothing}
    two = torch.cat([torch.full_like(one, 0.25), one + 0.25], dim=1)
    expected = BinaryLoss(positive_weight=weight, **options)(one, labels)
    found = CrossEntropy(class_weights=[1.0, weight], **options)(two, labels)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_weighted_focal_loss_of_a_worked_example():
    # Probabilities 0.7, 0.2, 0.1: the first film weighs 2, the second 0.5.
    scores = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]))
    loss = CrossEntropy(class_weights=[2.0, 1.0, 0.5], gamma=2.0)(scores, torch.tensor([0, 2]))
    expected = (2 * 0.3**2 * 0.356675 + 0.5 * 0.9**2 * 2.302585) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_weights_of_classes_by_hand():
    data = [{"label": label} for label in [0, 0, 0, 0, 1, 1, 2, 2]]
    assert class_weights(data, ["a", "b", "c"]) == pytest.approx([2 / 3, 4 / 3, 4 / 3])
    # Mean 1 over the films, so the learning rate needs no change.
    weights = class_weights(data, ["a", "b", "c"])
    assert sum(weights[item["label"]] for item in data) == pytest.approx(len(data))
    assert class_weights(data, ["a", "b", "c", "none"])[3] == 1.0
    assert class_weights([], ["a", "b"]) == [1.0, 1.0]
    assert positive_weight([{"label": label} for label in [0, 0, 0, 1]]) == 3.0
    assert positive_weight([]) == positive_weight([{"label": 1}]) == 1.0


def test_wrong_class_weights_are_refused():
    with pytest.raises(ValueError, match=r"weights above 0, got 0\.0, 0\.0 and 1\.0, 0\.0"):
        CrossEntropy(class_weights=[1.0, 0.0])
    with pytest.raises(ValueError, match="expected 3 class weights"):
        CrossEntropy(class_weights=[1.0, 2.0])(torch.zeros(1, 3), torch.tensor([2]))
