import csv

import torch
from training_fixture import small_run, write_films

from pipelines.training.monitoring import to_display


def test_images_are_stretched_one_by_one_for_display():
    images = torch.stack([torch.linspace(-3, 3, 4), torch.full((4,), 7.0)]).reshape(2, 1, 2, 2)
    shown = to_display(images)
    assert shown[0].min() == 0
    assert shown[0].max() == 1
    assert torch.equal(shown[1], torch.zeros(1, 2, 2))


def test_epochs_without_validation_have_empty_columns_also_after_a_cut(tmp_path):
    films = write_films(tmp_path / "films")
    for until in (3, 4, 5):  # the last two are resumed runs
        trainer, _ = small_run(films, tmp_path / "run", max_epochs=until, interval=3)
        trainer.run()
    with (tmp_path / "run" / "log.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    # The last epoch of each run is validated, whatever the interval.
    assert [bool(row["val_auroc"]) for row in rows] == [False, False, True, True, True]
    assert all(float(row["train_loss"]) > 0 for row in rows)
    assert all(0 < float(row["waited_percent"]) < 100 for row in rows)
