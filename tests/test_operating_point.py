"""The threshold meets its criterion on the cases it was chosen on, and survives the disk."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError, DatasetError, Reason, RunError
from pipelines.evaluation.calibration import probabilities
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.choice import choose_operating_point
from pipelines.evaluation.figures import Figure
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.thresholds import choose_threshold

CLASSES = ("NORMAL", "PNEUMONIA")
POINT = OperatingPoint(0.4, 1.5, CLASSES, "youden", "validation")


def logit(p):
    return np.log(p / (1 - np.asarray(p)))


def make(labels, logits):
    names = [str(i) for i in range(len(labels))]
    return Cases.of(names, names, labels=labels, logits=logits, classes=CLASSES)


scored = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(np.linspace(0, 1, 21).tolist())),
    min_size=2,
    max_size=40,
).filter(lambda rows: {label for label, _ in rows} == {0, 1})


def rates(labels, positive, threshold):
    called = positive >= threshold
    return called[labels == 1].mean(), 1 - called[labels == 0].mean()


def f1(labels, positive, threshold):
    called = positive >= threshold
    return 2 * (called & (labels == 1)).sum() / (called.sum() + labels.sum())


class TestThreshold:
    LABELS = np.array([0, 0, 1, 0, 1, 1])
    SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])

    @pytest.mark.parametrize(
        ("criterion", "target", "threshold"),
        [
            # Sensitivity + specificity: 1 + 2/3 at 0.25, 2/3 + 1 at 0.5; the lower one misses none.
            ("youden", None, 0.25),
            # F1: 6/7 at 0.25, 4/5 at 0.5.
            ("max_f1", None, 0.25),
            # 2/3 and 2/3 between 0.3 and 0.4.
            ("balanced", None, 0.35),
            ("sensitivity", 0.6, 0.5),
            ("sensitivity", 1.0, 0.25),
            ("specificity", 0.6, 0.25),
            ("specificity", 1.0, 0.5),
            ("given", 0.123, 0.123),
            # Right: 5 of 6 at 0.25 and at 0.5.
            ("max_accuracy", None, 0.25),
        ],
    )
    def test_by_hand(self, criterion, target, threshold):
        got = choose_threshold(self.LABELS, self.SCORES, criterion=criterion, target=target)
        assert got == pytest.approx(threshold)

    @settings(deadline=None)
    @given(scored, st.floats(0, 1))
    def test_targets_are_met_and_none_better_is_left(self, rows, target):
        labels, positive = map(np.array, zip(*rows, strict=True))
        every = np.r_[positive, np.linspace(0, 1, 41)]

        chosen = choose_threshold(labels, positive, criterion="sensitivity", target=target)
        sensitivity, specificity = rates(labels, positive, chosen)
        assert sensitivity >= target
        allowed = [rates(labels, positive, t) for t in every]
        assert specificity >= max(b for a, b in allowed if a >= target)

        if (target, positive[labels == 0].max()) < (0, 1):
            chosen = choose_threshold(labels, positive, criterion="specificity", target=target)
            sensitivity, specificity = rates(labels, positive, chosen)
            assert specificity >= target
            assert sensitivity >= max(a for a, b in allowed if b >= target)

    @settings(deadline=None)
    @given(scored)
    def test_no_threshold_beats_the_chosen_one(self, rows):
        labels, positive = map(np.array, zip(*rows, strict=True))
        every = np.r_[positive, np.linspace(0, 1, 41)]
        figures = {
            "youden": lambda t: sum(rates(labels, positive, t)),
            "max_f1": lambda t: f1(labels, positive, t),
            "max_accuracy": lambda t: ((positive >= t) == labels).mean(),
            "balanced": lambda t: -abs(np.subtract(*rates(labels, positive, t))),
        }
        for criterion, figure in figures.items():
            chosen = choose_threshold(labels, positive, criterion=criterion)
            assert 0 <= chosen <= 1
            assert figure(chosen) >= max(map(figure, every)) - 1e-12

    def test_neighbours_in_floating_point_are_told_apart(self):
        low = 0.7
        high = np.nextafter(low, 1)
        assert choose_threshold(np.array([0, 1]), np.array([low, high]), criterion="youden") == high

    def test_a_target_out_of_reach_is_refused(self):
        with pytest.raises(DatasetError, match=r"specificity 1\.0 or more"):
            choose_threshold(
                np.array([0, 1]), np.array([1.0, 1.0]), criterion="specificity", target=1.0
            )


class TestChoice:
    def test_threshold_is_on_calibrated_probabilities(self):
        cases = make(TestThreshold.LABELS, logit(TestThreshold.SCORES) * 3)
        point = choose_operating_point(cases, criterion="balanced", temperature=3.0)
        assert point.threshold == pytest.approx(0.35)
        assert point.figures["sensitivity"].value == pytest.approx(2 / 3)
        assert (point.temperature, point.split, point.classes) == (3.0, "validation", CLASSES)

    def test_temperature_is_fitted_when_not_given_and_choice_repeats(self):
        generator = np.random.default_rng(5)
        labels = np.arange(100) % 2
        cases = make(labels, generator.normal(4 * labels - 2, 3))
        point = choose_operating_point(cases)
        assert point == choose_operating_point(cases)
        assert point.temperature != 1.0

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 1000), st.sampled_from([0.8, 0.9, 0.95, 1.0]))
    def test_target_sensitivity_is_met(self, seed, target):
        generator = np.random.default_rng(seed)
        labels = np.arange(60) % 2
        cases = make(labels, generator.normal(labels, 1))
        point = choose_operating_point(
            cases, criterion="sensitivity", target=target, temperature=1.0
        )
        assert point.figures["sensitivity"].value >= target

    def test_wrong_use_is_refused(self):
        cases = make([0, 1], [-1.0, 1.0])
        with pytest.raises(DatasetError, match="every class to choose an operating point"):
            choose_operating_point(make([1, 1], [0.0, 1.0]))
        with pytest.raises(ConfigurationError, match="expected target to be a number"):
            choose_operating_point(cases, criterion="sensitivity")
        with pytest.raises(ConfigurationError, match="expected target to be a number"):
            choose_operating_point(cases, criterion="youden", target=0.9)
        with pytest.raises(ConfigurationError, match="one of youden, max_f1"):
            choose_operating_point(cases, criterion="yuden")


class TestDecisions:
    def test_a_probability_on_the_threshold_is_positive(self):
        assert POINT.decide(np.array([[0.6, 0.4], [0.61, 0.39], [0, 1]])).tolist() == [1, 0, 1]

    def test_records(self):
        records = POINT.classify(["a.dcm", "b.dcm"], np.float32([1.5 * logit(0.45), -30]))
        first, second = records
        assert (first.filename, first.predicted_class, first.predicted_label) == (
            "a.dcm",
            1,
            "PNEUMONIA",
        )
        # Below one half, since the threshold is: the class is called all the same.
        assert first.confidence == pytest.approx(0.45)
        assert first.probabilities == pytest.approx({"NORMAL": 0.55, "PNEUMONIA": 0.45})
        assert second.predicted_label == "NORMAL"
        want = probabilities(np.array([-30.0]), 1.5)[0, 0]
        assert second.confidence == pytest.approx(want)


class TestSeveralClasses:
    CLASSES = ("nv", "bkl", "mel", "bcc")
    POINT = OperatingPoint(
        0.4, 1.0, CLASSES, "given", "validation", target=0.4, positive_classes=("mel", "bcc")
    )
    CALIBRATED = np.array([[0.5, 0.0, 0.25, 0.25], [0.6, 0.1, 0.2, 0.1], [0.1, 0.5, 0.0, 0.4]])

    def test_positive_classes_that_reach_the_threshold_together_come_first(self):
        assert self.POINT.decide(self.CALIBRATED).tolist() == [2, 0, 3]
        assert self.POINT.positive == (2, 3)

    def test_without_a_threshold_the_most_probable_class_is_called(self):
        point = replace(self.POINT, criterion="argmax", target=None, threshold=None)
        assert point.decide(self.CALIBRATED).tolist() == [0, 0, 1]
        assert replace(point, positive_classes=()).decide(self.CALIBRATED).tolist() == [0, 0, 1]

    def test_records(self):
        (record,) = self.POINT.classify(["a.jpg"], np.log(self.CALIBRATED[1:2]))
        assert (record.predicted_class, record.predicted_label) == (0, "nv")
        assert record.confidence == pytest.approx(0.6)
        assert list(record.probabilities) == list(self.CLASSES)

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 1000), st.sampled_from([0.8, 0.95, 1.0]))
    def test_target_is_met_for_the_positive_classes_together(self, seed, target):
        generator = np.random.default_rng(seed)
        labels = np.arange(60) % 4
        names = [str(i) for i in range(60)]
        logits = generator.normal(2 * np.eye(4)[labels], 1.5)
        cases = Cases.of(names, names, labels=labels, logits=logits, classes=self.CLASSES)
        point = choose_operating_point(
            cases, criterion="sensitivity", target=target, positive_classes=("mel", "bcc")
        )
        called = np.isin(point.decide(point.calibrate(logits)), point.positive)
        sensitivity = called[labels >= 2].mean()
        assert point.figures["sensitivity_positive"].value == pytest.approx(sensitivity)
        assert sensitivity >= target

    def test_what_was_saved_is_loaded(self, tmp_path):
        point = replace(self.POINT, figures={"auroc_positive": Figure(0.9, 0.8, 0.95)})
        point.save(tmp_path / "operating_point.json")
        assert OperatingPoint.load(tmp_path / "operating_point.json") == point

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"positive_classes": ("nevus",)}, "positive_classes to be the second of two"),
            ({"positive_classes": ("mel", "mel")}, "positive_classes"),
            ({"positive_classes": CLASSES}, "positive_classes"),
            ({"positive_classes": ("positive",), "classes": ("a", "b", "positive")}, "positive_cl"),
            ({"positive_classes": ()}, "none only with criterion argmax"),
            ({"bias": 0.5}, "0 for three classes or more"),
            ({"threshold": None}, "otherwise a number 0 to 1, got None"),
            ({"criterion": "argmax", "target": None}, "threshold to be nothing for argmax"),
        ],
    )
    def test_wrong_use_is_refused(self, changes, said):
        with pytest.raises(ConfigurationError, match=said):
            replace(self.POINT, **changes)

    def test_of_two_classes_the_second_is_the_positive_one(self):
        assert POINT.positive_classes == CLASSES[1:]
        with pytest.raises(ConfigurationError, match=r"second of two classes.*'NORMAL'"):
            replace(POINT, positive_classes=CLASSES[:1])

    def test_outputs_of_other_classes_are_refused(self):
        for point, outputs in ((POINT, 3), (self.POINT, 7)):
            with pytest.raises(RunError, match=f"got {outputs}") as refusal:
                point.calibrate(np.zeros((5, outputs)))
            assert refusal.value.reason is Reason.WEIGHTS_MISMATCH


class TestFile:
    def test_what_was_saved_is_loaded(self, tmp_path):
        point = replace(
            POINT,
            criterion="sensitivity",
            target=0.95,
            figures={"auroc": Figure(0.9, 0.8, 0.95), "mcc": Figure(None)},
        )
        point.save(tmp_path / "models" / "operating_point.json")
        assert OperatingPoint.load(tmp_path / "models" / "operating_point.json") == point

    def test_the_size_of_the_input_is_kept_and_may_be_missing(self, tmp_path):
        path = tmp_path / "operating_point.json"
        point = replace(POINT, input_size=(1, 192, 224))
        point.save(path)
        assert OperatingPoint.load(path) == point
        content = json.loads(path.read_text())
        del content["input_size"]
        path.write_text(json.dumps(content))
        assert OperatingPoint.load(path) == POINT

    def test_a_missing_file_names_the_file_but_no_folder(self, tmp_path):
        with pytest.raises(ConfigurationError, match=r"operating_point\.json beside") as refusal:
            OperatingPoint.load(tmp_path / "operating_point.json")
        assert refusal.value.reason is Reason.WEIGHTS_MISSING
        assert str(tmp_path) not in str(refusal.value)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            (
                {"threshold": "0.5"},
                "threshold to be nothing for argmax, otherwise a number 0 to 1, got '0.5'",
            ),
            (
                {"threshold": 1.5},
                "threshold to be nothing for argmax, otherwise a number 0 to 1, got 1.5",
            ),
            (
                {"threshold": float("nan")},
                "threshold to be nothing for argmax, otherwise a number 0 to 1, got nan",
            ),
            ({"temperature": 0}, "temperature to be a number above 0"),
            ({"temperature": True}, "temperature to be a number above 0"),
            ({"classes": ["A"]}, "two different class names"),
            ({"classes": "AB"}, "two different class names"),
            ({"criterion": "best"}, "criterion to be one of"),
            ({"split": ""}, "name of a split"),
            ({"target": 0.5}, "nothing otherwise, got 0.5"),
            ({"figures": {"auroc": 0.9}}, "figures with value, low and high"),
            ({"treshold": 0.5}, "expected the keys"),
            ({"input_size": [192, 192]}, "input_size to be channels, height and width"),
            ({"input_size": [1, 0, 192]}, "input_size to be channels, height and width"),
            ({"input_size": 192}, "input_size to be channels, height and width"),
        ],
    )
    def test_wrong_content_is_refused(self, tmp_path, changes, said):
        path = tmp_path / "operating_point.json"
        POINT.save(path)
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        with pytest.raises(ConfigurationError, match=said):
            OperatingPoint.load(path)

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", "\udcff"])
    def test_what_is_no_operating_point_is_refused(self, tmp_path, text):
        path = tmp_path / "operating_point.json"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(ConfigurationError, match=r"operating_point\.json"):
            OperatingPoint.load(path)
