import numpy as np
import pytest
from anomaly_fixture import made_cases
from sklearn.metrics import average_precision_score, roc_auc_score

from pipelines.errors import ConfigurationError, DatasetError
from pipelines.evaluation.anomaly import (
    DECISIONS,
    choose_anomaly_point,
    evaluate_anomalies,
    format_anomalies,
)
from pipelines.evaluation.anomaly_scores import AnomalyScore, Profile
from pipelines.training.reconstruction_metrics import MEASURES


@pytest.fixture(scope="module")
def profile():
    return Profile.fit(made_cases(60, 0, seed=9).measured)


def choose(cases, profile, **options):
    return choose_anomaly_point(cases, profile, image_size=32, error_scale=0.2, **options)


def test_best_score_is_taken_and_figures_agree_with_another_library(profile):
    cases = made_cases(30, 20)
    point = choose(cases, profile)
    assert set(point.chosen_from) == set(AnomalyScore)
    assert point.chosen_from[point.score] == max(point.chosen_from.values())
    evaluation = evaluate_anomalies(cases, point, split="validation", resamples=200)
    figures = evaluation.figures
    assert set(figures) == {*MEASURES, *DECISIONS}
    expected = roc_auc_score(cases.labels, evaluation.scores)
    assert figures["auroc"].value == pytest.approx(expected)
    expected = average_precision_score(cases.labels, evaluation.scores)
    assert figures["auprc"].value == pytest.approx(expected)
    called = evaluation.scores >= point.threshold
    assert figures["sensitivity"].value == pytest.approx(called[cases.labels == 1].mean())
    assert figures["auroc"].low <= figures["auroc"].value <= figures["auroc"].high
    normal = cases.labels == 0
    assert figures["mse"].value == pytest.approx(cases.measured.measures["mse"][normal].mean())
    assert "chosen on these same films" in format_anomalies(evaluation)


def test_limit_is_a_quantile_of_normal_films(profile):
    cases = made_cases(100, 10)
    point = choose(cases, profile, score=AnomalyScore.MEAN_ERROR)
    scores = cases.measured.scores[AnomalyScore.MEAN_ERROR][:100]
    assert point.out_of_distribution == pytest.approx(np.quantile(scores, 0.99))
    assert point.score is AnomalyScore.MEAN_ERROR


def test_threshold_keeps_false_alarms_without_any_label(profile):
    cases = made_cases(100, 0)
    point = choose(cases, profile, criterion="false_alarms", target=0.1)
    assert point.score is AnomalyScore.COMBINED
    assert point.chosen_from == {}
    evaluation = evaluate_anomalies(cases, point, split="test", resamples=50)
    assert (evaluation.scores >= point.threshold).mean() == pytest.approx(0.1, abs=0.01)
    assert set(evaluation.figures) == set(MEASURES)
    assert "chosen on validation and used unchanged" in format_anomalies(evaluation)


def test_criterion_that_needs_labels_gives_way_without_them(profile):
    point = choose(made_cases(40, 0), profile, criterion="youden")
    assert (point.criterion, point.target) == ("false_alarms", 0.05)


def test_target_is_reached(profile):
    cases = made_cases(30, 20)
    point = choose(cases, profile, criterion="sensitivity", target=0.9)
    assert point.figures["sensitivity"].value >= 0.9


def test_films_without_a_normal_one_are_refused(profile):
    with pytest.raises(DatasetError, match="normal films"):
        choose(made_cases(0, 5), profile)


def test_wrong_target_is_refused(profile):
    with pytest.raises(ConfigurationError):
        choose(made_cases(10, 5), profile, criterion="youden", target=0.5)


def test_groups_widen_the_interval(profile):
    cases = made_cases(30, 20)
    point = choose(cases, profile, score=AnomalyScore.PATCH_SSIM)
    assert evaluate_anomalies(cases, point, split="test", resamples=50).others.keys() == set(
        AnomalyScore
    )
