import pytest
from dataset_fixture import make_images

from pipelines.datasets.films import LayoutError
from pipelines.datasets.flat_folder import find_flat_films, is_flat


@pytest.mark.parametrize(
    ("names", "flat"),
    [
        (["a.png", "b.png"], True),
        (["images/a.png", "images/b [1].png"], True),
        (["data/images/a.png"], True),
        (["fractured/a.png", "not fractured/b.png"], False),
        (["images/a.png", "images/more/b.png"], False),
        (["train/a/1.png", "train/b/2.png"], False),
        ([".hidden/a.png"], False),
    ],
)
def test_flat_folders_are_told_from_class_folders(tmp_path, names, flat):
    make_images(tmp_path, names)
    assert is_flat(tmp_path) is flat


def test_every_film_of_a_flat_folder_has_label_0_and_others_are_counted(tmp_path):
    make_images(tmp_path / "images", ["a (1).png", "b [2].png"])
    (tmp_path / "images" / "notes.txt").write_text("no film")
    found = find_flat_films(tmp_path, classes=("normal", "anomalous"))
    assert [(film.name, film.label) for film in found.films] == [
        ("images/a (1).png", 0),
        ("images/b [2].png", 0),
    ]
    assert "1 files left out" in found.notes[0]


def test_folder_without_films_is_refused(tmp_path):
    with pytest.raises(LayoutError, match="expected films"):
        find_flat_films(tmp_path, classes=("normal",))
