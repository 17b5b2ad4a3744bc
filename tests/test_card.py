"""A model card tells what was measured, of which weights, and nothing else."""

import json
import shutil

import numpy as np
import pytest
from test_report_files import make

from pipelines.cli import main
from pipelines.errors import ConfigurationError
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.choice import choose_operating_point
from pipelines.evaluation.report_files import write_evaluation
from pipelines.evaluation.trained_on import SeenFilms, SplitFacts
from pipelines.files import sha256, write_csv, write_json
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.card import write_card

README = """# A bundle

## Data

Films of 60 patients.

### Preprocessing

None to tell.

## Limitations

No use for **legs**.

Research only.

## Citation

Nobody.
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A bundle with weights, and an evaluation of them on 120 films."""
    root = tmp_path_factory.mktemp("cards")
    bundle = Bundle("made_up", root / "made_up")
    (bundle.root / "models").mkdir(parents=True)
    bundle.weights.write_bytes(b"weights")
    (bundle.root / "docs").mkdir()
    (bundle.root / "docs" / "README.md").write_text(README)
    write_json(
        bundle.metadata,
        {"task": "Tell a | b", "version": "0.1.0", "intended_use": "Research only. Not a device"},
    )
    cases = make(120, 1)
    point = choose_operating_point(make(100, 0), criterion="sensitivity", target=0.9)
    point.save(bundle.operating_point)
    facts = SplitFacts({"sex": ["F", "M", ""] * 40}, SeenFilms(120, 0, 7), sha256(bundle.weights))
    run = root / "run"
    evaluation = write_evaluation(run, cases, point, split="test", facts=facts)
    counts = {"NORMAL": {"films": 60, "groups": 30}, "PNEUMONIA": {"films": 60, "groups": 30}}
    write_json(
        run / "data_card.json",
        {"films": 120, "groups": 60, "splits": {"train": {}, "test": counts}, "histograms": {}},
    )
    rows = [
        {"shift": "gamma", "strength": "0.7", "films": 120, "metric": name, "value": 0.75}
        | {"ci_low": 0.7, "ci_high": 0.8, "change": -0.1}
        for name in ("auroc", "sensitivity")
    ]
    write_csv(run / "robustness.csv", list(rows[0]), rows)
    return bundle, run, evaluation, point


def test_a_card_holds_what_was_measured(evaluated):
    bundle, run, evaluation, point = evaluated
    text = write_card(bundle, [str(run)]).read_text("utf-8")
    kept = bundle.root / "docs" / "measured" / "test"
    assert {path.name for path in kept.iterdir()} == {
        *("metrics.json", "subgroups.csv", "robustness.csv", "data_card.json"),
    }
    assert "histograms" not in json.loads((kept / "data_card.json").read_text("utf-8"))
    auroc = evaluation.figures["auroc"]
    assert f"| AUROC | {auroc.value:.3f} | {auroc.low:.3f} to {auroc.high:.3f} |" in text
    flat = " ".join(text.split())
    assert "Split test: 120 films of 60 patients" in flat
    assert "sensitivity 0.9, chosen on validation and used unchanged" in flat
    assert f"Threshold {point.threshold:.4g} on the calibrated probability of PNEUMONIA" in flat
    assert "the operating point was chosen on 7 of them" in flat
    assert "| sex | F | 40 (40) |" in text
    assert "| gamma | 0.7 | 0.750 (0.700 to 0.800) | 0.750 (0.700 to 0.800) |" in text
    assert "| test | PNEUMONIA | 60 | 30 |" in text
    assert "Films of 60 patients." in text
    assert "None to tell" not in text
    assert "No use for **legs**." in text
    assert "Tell a \\| b" in text
    assert "other weights" not in text
    assert "CANARY" not in text
    assert text == write_card(bundle).read_text("utf-8")


def test_figures_of_other_weights_or_thresholds_and_of_training_films_are_marked(evaluated):
    bundle, run = evaluated[:2]
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    seen = {"trained_on": 9, "chosen_on": 0}
    write_json(
        run / "metrics.json", metrics | {"films_seen": seen, "weights_sha256": "1", "threshold": 1}
    )
    try:
        text = write_card(bundle, [f"Another hospital={run}"]).read_text("utf-8")
    finally:
        write_json(run / "metrics.json", metrics)
    assert "### another-hospital" in text
    flat = " ".join(text.split())
    assert "**9 of these films trained the weights: too good.**" in flat
    assert "of other weights than the ones that are shipped now" in flat
    assert "at another threshold than the one that is shipped now" in flat


def test_classes_and_structures_have_rows(tmp_path):
    classes = ("nv", "bkl", "mel")
    labels = np.arange(60) % 3
    names = [str(n) for n in range(60)]
    logits = np.random.default_rng(0).normal(3 * np.eye(3)[labels], 2)
    cases = Cases.of(names, names, labels=labels, logits=logits, classes=classes)
    point = choose_operating_point(cases, criterion="youden", positive_classes=("mel",))
    bundle = Bundle("several", tmp_path / "several")
    point.save(bundle.operating_point)
    write_evaluation(tmp_path / "run", cases, point, split="test")
    text = write_card(bundle, [str(tmp_path / "run")]).read_text("utf-8")
    assert "| AUROC, mel | " in text
    assert "| AUROC, mean of classes | " in text
    assert "| bkl | 20 | " in text
    figure = {"value": 0.9, "low": None, "high": None}
    of_masks = dict.fromkeys(("dice", "iou", "surface_dice"), figure)
    write_json(
        tmp_path / "masks" / "metrics.json",
        {"split": "test", "metrics": {"dice": figure}, "structures": {"Ulna": of_masks}},
    )
    text = write_card(bundle, [f"masks={tmp_path / 'masks'}"]).read_text("utf-8")
    assert "| Ulna | 0.900 | 0.900 | 0.900 |" in text
    assert "| Dice | 0.900 | - |" in text


def test_a_folder_whose_name_has_an_equals_sign_is_taken_as_it_is(evaluated, tmp_path):
    bundle, run = evaluated[:2]
    sweep = tmp_path / "lr=0.1"
    shutil.copytree(run, sweep)
    write_card(bundle, [str(sweep)])
    write_card(bundle, [f"named={sweep}"])
    kept = {path.name for path in (bundle.root / "docs" / "measured").iterdir()}
    assert {"test", "named"} <= kept
    assert not any(name.startswith((".", "lr", str(tmp_path)[:4])) for name in kept)


def test_what_was_kept_stays_when_the_new_cannot_be_written(evaluated, tmp_path, monkeypatch):
    bundle, run = evaluated[:2]
    write_card(bundle, [f"whole={run}"])
    kept = bundle.root / "docs" / "measured" / "whole"
    before = {path.name: path.read_bytes() for path in kept.iterdir()}

    def fail(*_arguments):
        raise OSError("no space left")

    monkeypatch.setattr("pipelines.workflows.card.shutil.copyfile", fail)
    with pytest.raises(OSError, match="no space left"):
        write_card(bundle, [f"whole={run}"])
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert not list(kept.parent.glob(".*"))


def test_what_is_no_evaluation_is_refused(evaluated, tmp_path):
    with pytest.raises(ConfigurationError, match="with figures; name one"):
        write_card(evaluated[0], [str(tmp_path)])


def test_verb(evaluated, capsys):
    bundle, run = evaluated[:2]
    assert main(["card", str(bundle.root), str(run)]) == 0
    assert "model_card.md" in capsys.readouterr().out
    assert main(["card", str(bundle.root), str(run / "nowhere")]) == 2
