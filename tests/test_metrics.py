import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as scores
from sklearn.metrics import roc_auc_score

from pipelines.training.metrics import FAMILIES, Family, build_metric, family_of


def computed(name, logits, labels):
    metric = build_metric(name)
    return scored(metric, torch.tensor(logits).reshape(-1, 1), labels)


def scored(metric, logits, labels):
    """In two batches, as a pass gives them."""
    half = len(labels) // 2
    for part in (slice(half), slice(half, None)):
        if labels[part]:
            output = {"pred": logits[part], "label": torch.tensor(labels[part])}
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


SEVEN = torch.randn(60, 7, generator=torch.Generator().manual_seed(0))
LABELS = [(i * i + i // 9) % 7 for i in range(60)]


def of_scikit_learn(name):
    called, truth = SEVEN.argmax(dim=1).numpy(), np.array(LABELS)
    probability = torch.softmax(SEVEN.double(), dim=1).numpy()
    each = np.eye(7)[truth]
    return {
        "auroc": lambda: scores.roc_auc_score(truth, probability, multi_class="ovr"),
        "auprc": lambda: scores.average_precision_score(each, probability, average="macro"),
        "accuracy": lambda: scores.accuracy_score(truth, called),
        "balanced_accuracy": lambda: scores.balanced_accuracy_score(truth, called),
        "sensitivity": lambda: scores.recall_score(truth, called, average="macro"),
        "specificity": lambda: np.mean(
            [scores.recall_score(truth != k, called != k) for k in range(7)]
        ),
        "f1": lambda: scores.f1_score(truth, called, average="macro"),
        "loss": lambda: scores.log_loss(truth, probability),
    }[name]()


@pytest.mark.parametrize("name", sorted(FAMILIES[Family.CLASSIFICATION]))
def test_seven_classes_have_the_means_of_scikit_learn(name):
    expected = pytest.approx(of_scikit_learn(name), abs=1e-6)
    assert scored(build_metric(name), SEVEN, LABELS) == expected


@pytest.mark.parametrize("name", [*sorted(FAMILIES[Family.CLASSIFICATION]), "auroc_positive"])
def test_two_logits_score_as_their_difference(name):
    groups = {"classes": ["a", "b"], "positive_classes": ["b"]}
    labels = [int(label > 2) for label in LABELS]
    one = scored(build_metric(name, **groups), (SEVEN[:, 1] - SEVEN[:, 0])[:, None], labels)
    assert scored(build_metric(name, **groups), SEVEN[:, :2], labels) == pytest.approx(one)


def test_auroc_of_classes_together():
    classes = [*"abcdefg"]
    metric = build_metric("auroc_positive", classes=classes, positive_classes=["b", "g"])
    together = torch.softmax(SEVEN.double(), dim=1)[:, [1, 6]].sum(dim=1).numpy()
    expected = scores.roc_auc_score(np.isin(LABELS, [1, 6]), together)
    assert scored(metric, SEVEN, LABELS) == pytest.approx(expected)
    assert family_of("val_auroc_positive") is Family.CLASSIFICATION
    for wrong in ([], ["z"], classes):
        with pytest.raises(ValueError, match="some of the classes a, b"):
            build_metric("auroc_positive", classes=classes, positive_classes=wrong)


@pytest.mark.parametrize("name", sorted(FAMILIES[Family.CLASSIFICATION]))
def test_seven_classes_without_films_of_one(name):
    assert 0 <= scored(build_metric(name), SEVEN[:4], [0, 1, 2, 3]) < 10


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
