"""Laws of splits by patient."""

from collections import Counter

import cv2
import pytest
from dataset_fixture import make_image
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.copies import FilmCopies
from pipelines.datasets.films import LabelledFilm
from pipelines.datasets.groups import Patient
from pipelines.datasets.splits import choose_groups, deal_folds
from pipelines.datasets.splitting import assign_splits
from pipelines.ingest.sniff import FileFormat

films = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=1, max_size=120)


def choose(pairs, *, fraction=0.2, seed=0):
    groups = [f"patient {group}" for group, _ in pairs]
    return choose_groups(groups, [label for _, label in pairs], fraction=fraction, seed=seed)


@given(films, st.randoms(), st.integers(0, 9))
def test_the_order_of_films_does_not_matter(pairs, random, seed):
    shuffled = random.sample(pairs, len(pairs))
    assert choose(pairs, seed=seed) == choose(shuffled, seed=seed)


@given(st.lists(st.integers(1, 4), min_size=30, max_size=80), st.floats(0.1, 0.5))
def test_each_class_gets_its_share(sizes, fraction):
    # Patients have one class each and up to four films; the first ten and more are of class 1.
    pairs = [(number, int(number < 15)) for number, size in enumerate(sizes) for _ in range(size)]
    chosen = choose(pairs, fraction=fraction)
    for label in (0, 1):
        of_class = [f"patient {number}" for number, each in pairs if each == label]
        share = sum(group in chosen for group in of_class) / len(of_class)
        assert abs(share - fraction) <= 4 / len(of_class)


@given(films)
def test_a_class_with_two_patients_of_its_own_is_on_both_sides(pairs):
    chosen = choose(pairs)
    labels = {}
    for group, label in pairs:
        labels.setdefault(f"patient {group}", set()).add(label)
    strata = Counter(tuple(sorted(each)) for each in labels.values())
    for stratum, members in strata.items():
        inside = [group for group in chosen if tuple(sorted(labels[group])) == stratum]
        assert (0 < len(inside) < members) == (members > 1)


def test_no_more_patients_move_than_were_added():
    before = [(number, 0) for number in range(100)]
    after = [(number, 0) for number in range(110)]
    moved = choose(before) - choose(after)
    assert len(moved) <= 10


def test_another_seed_gives_another_choice():
    pairs = [(number, number % 2) for number in range(60)]
    assert choose(pairs, seed=0) != choose(pairs, seed=1)


@pytest.mark.parametrize(("fraction", "chosen"), [(0.0, 0), (1.0, 60)])
def test_none_and_all(fraction, chosen):
    assert len(choose([(number, 0) for number in range(60)], fraction=fraction)) == chosen


def assign(tmp_path, rows, *, content=None, keep=()):
    """Rows of (name, label, split, patient); files named in `keep` are there already."""
    made = [
        LabelledFilm(
            path=tmp_path / name
            if name in keep
            else make_image(tmp_path / name, content=(content or {}).get(name, "")),
            name=name,
            label=label,
            file_format=FileFormat.PNG,
            split=split,
        )
        for name, label, split, _ in rows
    ]
    patients = [Patient(patient, patient) for *_, patient in rows]
    copies = FilmCopies(film.path for film in made)
    fractions = {"val": 0.25, "test": 0.2}
    return assign_splits(made, patients, copies=copies, fractions=fractions, seed=0)


def test_given_splits_stay(tmp_path):
    rows = [
        (f"{n}.png", n % 2, split, f"p{n}") for n, split in enumerate(["train", "val", "test"] * 8)
    ]
    assert assign(tmp_path, rows).splits == ("train", "val", "test") * 8


def test_films_without_a_split_are_trained_on_when_others_validate(tmp_path):
    rows = [("a.png", 0, None, "a"), ("b.png", 1, "val", "b")]
    assert assign(tmp_path, rows).splits == ("train", "val")


def test_validation_and_test_are_made_where_no_split_is_given(tmp_path):
    rows = [(f"{n}.png", n % 2, None, f"p{n // 2}") for n in range(80)]
    made = Counter(assign(tmp_path, rows).splits)
    assert made["test"] == 16
    assert made["val"] == 16


def test_a_tiny_validation_split_is_merged_and_made_anew(tmp_path):
    rows = [(f"{n}.png", n % 2, "train", f"p{n}") for n in range(100)] + [
        ("v.png", 0, "val", "p1000")
    ]
    assigned = assign(tmp_path, rows)
    assert Counter(assigned.splits)["val"] in {25, 26}
    assert "of 1 films is too small" in assigned.notes[0]


def test_copies_of_one_file_stay_on_one_side(tmp_path):
    rows = [(f"{n}.png", 0, None, f"p{n}") for n in range(40)]
    content = {name: str(int(name[:-4]) // 2) for name, *_ in rows}
    splits = assign(tmp_path, rows, content=content).splits
    assert splits[::2] == splits[1::2]
    assert set(splits) == {"train", "val", "test"}


def test_a_patient_in_two_given_splits_has_one_group(tmp_path):
    rows = [("train/a.png", 0, "train", "p1"), ("test/b.png", 0, "test", "p1")]
    assert assign(tmp_path, rows).groups == ("p1", "p1")


def test_near_copies_draw_films_back_to_the_training_split(tmp_path):
    rows = [(f"{n}.png", n % 2, None, f"p{n}") for n in range(80)]
    before = assign(tmp_path, rows)
    held_out = before.splits.index("test")
    trained = before.splits.index("train")
    film = cv2.imread(str(tmp_path / f"{held_out}.png"), cv2.IMREAD_GRAYSCALE)
    assert cv2.imwrite(str(tmp_path / f"{trained}.png"), film[:, ::-1])
    after = assign(tmp_path, rows, keep=[f"{trained}.png"])
    assert after.splits[held_out] == after.splits[trained] == "train"
    came = {n for n, split in enumerate(after.splits) if split == "test" != before.splits[n]}
    assert len(came) <= 1


@given(films, st.integers(2, 5), st.integers(0, 9))
def test_folds_share_no_group_and_about_the_same_of_each_class(pairs, folds, seed):
    groups = [f"patient {group}" for group, _ in pairs]
    labels = [label for _, label in pairs]
    dealt = deal_folds(groups, folds=folds, seed=seed, labels=labels)
    assert len(set(zip(groups, dealt, strict=True))) == len(set(groups))
    for label in set(labels):
        # Groups of this class alone are dealt evenly, to within one group.
        pure = {g for g, own in zip(groups, labels, strict=True) if own == label} - {
            g for g, own in zip(groups, labels, strict=True) if own != label
        }
        films_of = Counter(g for g in groups if g in pure)
        held = Counter(part for g, part in zip(groups, dealt, strict=True) if g in pure)
        if films_of:
            sizes = [held[part] for part in range(folds)]
            assert max(sizes) - min(sizes) <= max(films_of.values())
        if len(pure) >= folds:
            assert len(held) == folds
