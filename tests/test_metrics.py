import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pipelines.training.metrics import FAMILIES, Family, build_metric, family_of


def computed(name, logits, labels):
    metric = build_metric(name)
    output = {"pred": torch.tensor(logits).reshape(-1, 1), "label": torch.tensor(labels)}
    metric.update(metric._output_transform(output))
    return metric.compute()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Decisions 1, 1, 0, 0, 1 for labels 1, 0, 0, 1, 1.
        ("accuracy", 3 / 5),
        ("sensitivity", 2 / 3),
        ("specificity", 1 / 2),
        ("balanced_accuracy", 7 / 12),
        ("f1", 2 / 3),
        # Of six pairs, 3.0 wins both, -1.0 and 0.4 win against -2.0 alone.
        ("auroc", 4 / 6),
    ],
)
def test_worked_example(name, expected):
    logits = [3.0, 0.5, -2.0, -1.0, 0.4]
    assert computed(name, logits, [1, 0, 0, 1, 1]) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 1)), min_size=2, max_size=30))
def test_auroc_is_that_of_scikit_learn_or_chance(pairs):
    logits, labels = [p[0] for p in pairs], [p[1] for p in pairs]
    value = computed("auroc", logits, labels)
    if len(set(labels)) == 1:
        assert value == 0.5
    else:
        probability = torch.sigmoid(torch.tensor(logits)).numpy()
        assert value == pytest.approx(roc_auc_score(labels, probability))


@pytest.mark.parametrize("name", sorted(FAMILIES[Family.CLASSIFICATION]))
def test_every_metric_is_defined_when_one_class_is_absent(name):
    assert 0 <= computed(name, [1.0, -1.0], [0, 0]) < 2


def test_unknown_metric_gets_the_known_ones():
    with pytest.raises(ValueError, match="got 'auc'; did you mean 'auroc'"):
        build_metric("auc")


def test_dice_is_the_mean_over_films_of_the_mean_over_channels():
    label = torch.zeros(2, 2, 2, 4, dtype=torch.uint8)
    label[0, 0, :, :2] = 1
    logits = torch.full((2, 2, 2, 4), -1.0)
    logits[0, 0, 0] = 1  # two of its four pixels lie in the label, which has four
    logits[1, 1, 0, 0] = 1  # one pixel where there is none: almost 0
    metric = build_metric("dice")
    metric.update(metric._output_transform({"pred": logits[:1], "label": label[:1]}))
    metric.update(metric._output_transform({"pred": logits[1:], "label": label[1:]}))
    empty = 1.0
    assert metric.compute() == pytest.approx(((0.5 + empty) / 2 + (empty + 1e-4) / 2) / 2, abs=1e-4)


def test_a_metric_names_its_family_and_foreign_ones_have_none():
    assert family_of("val_auroc") is Family.CLASSIFICATION
    assert family_of("dice") is Family.SEGMENTATION
    assert family_of("my_own") is None
