"""What a killed writer leaves is taken away by the next one; what is in use never is."""

import multiprocessing
import os
from pathlib import Path

import pytest

from pipelines.errors import Reason, RunError
from pipelines.files import link, whole_file, write_text
from pipelines.unfinished import FILES, held_folder, scratch_folder, take_away


def write_half_and_die(path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half")
        os._exit(9)  # as a kill: nothing is cleared up


def fill_half_and_die(folder: Path) -> None:
    with held_folder(folder, ".work-") as work:
        (work / "half").write_text("half")
        os._exit(9)


def die(target, *arguments):
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    process.join(30)
    assert process.exitcode == 9


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_writer_left_is_gone_when_the_file_is_written_again(tmp_path):
    path = tmp_path / "table.csv"
    for _ in range(2):
        die(write_half_and_die, path)
        (left,) = names(tmp_path)
        assert left.startswith(FILES)
    write_text(path, "whole")
    assert names(tmp_path) == ["table.csv"]
    assert path.read_text() == "whole"
    assert path.stat().st_mode & 0o777 == 0o644


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "table.csv"
    with whole_file(path) as slow:
        slow.write_text("slow")
        write_text(path, "quick")
        assert not take_away(slow)
        assert (path.read_text(), slow.read_text()) == ("quick", "slow")
    assert path.read_text() == "slow"
    assert names(tmp_path) == ["table.csv"]


def test_a_second_name_leaves_nothing_and_changes_nothing(tmp_path):
    source = tmp_path / "source.png"
    write_text(source, "content")
    target = tmp_path / "target.png"
    # As a kill between making the second name and giving it its place leaves it.
    with whole_file(target) as temporary:
        place = temporary
    target.unlink()
    place.hardlink_to(source)
    link(source, target)
    assert names(tmp_path) == ["source.png", "target.png"]
    assert source.read_text() == target.read_text() == "content"


def test_a_folder_of_a_killed_process_is_taken_away_and_no_other(tmp_path):
    die(fill_half_and_die, tmp_path)
    assert len(names(tmp_path)) == 1
    with held_folder(tmp_path, ".work-") as one, held_folder(tmp_path, ".work-") as two:
        assert names(tmp_path) == sorted([one.name, two.name])
        assert not take_away(one)
    assert not names(tmp_path)


def test_a_link_under_the_temporary_name_is_not_followed(tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("mine")
    path = tmp_path / "table.csv"
    with whole_file(path) as temporary:
        place = temporary
    path.unlink()
    place.symlink_to(other)
    write_text(path, "new")
    assert (other.read_text(), path.read_text()) == ("mine", "new")
    assert not path.is_symlink()


def test_no_place_for_temporary_files_is_said_with_what_to_do(monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    with pytest.raises(RunError, match="TMPDIR") as raised, scratch_folder():
        pass
    assert raised.value.reason is Reason.OUTPUT_UNWRITABLE
