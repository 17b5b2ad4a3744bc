"""Each picture opens, is not blank and is written whole."""

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import RunError
from pipelines.evaluation import pictures, plots
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.classification import evaluate
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.training_curves import draw_training_curves

POINT = OperatingPoint(0.5, 1.0, ("NORMAL", "PNEUMONIA"), "youden", "validation")
PICTURES = [
    plots.draw_roc,
    plots.draw_precision_recall,
    plots.draw_reliability,
    plots.draw_scores,
]


def make(labels, logits):
    names = [str(i) for i in range(len(labels))]
    cases = Cases.of(names, names, labels=labels, logits=logits, classes=POINT.classes)
    return cases, evaluate(cases, POINT, split="test", resamples=20)


def colours(path):
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        counted = image.convert("RGB").getcolors(image.width * image.height)
    assert not list(path.parent.glob(".writing-*"))
    return {colour for _, colour in counted}


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


@pytest.mark.parametrize("draw", PICTURES)
def test_pictures_show_the_cases(draw, tmp_path):
    generator = np.random.default_rng(0)
    labels = np.arange(100) % 2
    cases, evaluation = make(labels, generator.normal(4.0 * labels - 2, 2))
    draw(tmp_path / "picture.png", cases, evaluation=evaluation)
    assert rgb(pictures.BLUE) in colours(tmp_path / "picture.png")


@pytest.mark.parametrize("draw", PICTURES)
@pytest.mark.parametrize("logits", [[0.0, 0.0], [-800.0, 800.0]])
def test_pictures_of_very_few_cases(draw, logits, tmp_path):
    cases, evaluation = make([0, 1], logits)
    draw(tmp_path / "picture.png", cases, evaluation=evaluation)
    assert len(colours(tmp_path / "picture.png")) > 10


@pytest.mark.parametrize(
    ("draw", "threshold"), [(plots.draw_roc, None), *((draw, 0.3) for draw in PICTURES)]
)
def test_pictures_of_nine_classes_and_some_together(draw, threshold, tmp_path):
    classes = tuple("abcdefghi")
    how = {"criterion": "argmax"} if threshold is None else {"criterion": "given", "target": 0.3}
    point = OperatingPoint(
        threshold, 1.0, classes, split="validation", positive_classes=("b", "c"), **how
    )
    labels = np.arange(90) % 9
    logits = np.random.default_rng(0).normal(3 * np.eye(9)[labels], 2)
    names = [str(i) for i in range(90)]
    cases = Cases.of(names, names, labels=labels, logits=logits, classes=classes)
    draw(tmp_path / "picture.png", cases, evaluation=evaluate(cases, point, split="t", resamples=2))
    assert {rgb(pictures.BLUE), rgb(pictures.VERMILION)} <= colours(tmp_path / "picture.png")


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], [0, 0, 0, 0]])
def test_confusion_matrix(labels, tmp_path):
    _, evaluation = make(labels, [-1.0, 1.0, 2.0, 3.0])
    plots.draw_confusion_matrix(tmp_path / "matrix.png", evaluation)
    assert len(colours(tmp_path / "matrix.png")) > 10


def test_a_picture_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), pictures.picture_file(path, (2, 2)):
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"


def test_curves_of_a_log_with_gaps_text_and_a_cut_row(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text(
        "epoch,note,train_loss,val_loss,val_auroc,learning_rate,empty\n"
        "1,first,0.9,1.0,0.8,1e-3,\n"
        "2,second,0.5,nan,,1e-4,\n"
        "3,third,0.4"
    )
    draw_training_curves(tmp_path / "curves.png", log)
    found = colours(tmp_path / "curves.png")
    assert {rgb(pictures.BLUE), rgb(pictures.VERMILION), rgb(pictures.GREY)} <= found
    # Loss, AUROC and learning rate, in two columns.
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (round(2 * 4.2 * 150), round(2 * 3.1 * 150))


@pytest.mark.parametrize("text", ["", "epoch,train_loss\n", "epoch\n1\n", "train_loss\n0.3\n"])
def test_a_log_without_epochs_is_refused(text, tmp_path):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(RunError, match=r"numbers in log\.csv"):
        draw_training_curves(tmp_path / "curves.png", tmp_path / "log.csv")
    assert not (tmp_path / "curves.png").exists()
