"""One run at a time in a folder: a live holder is refused, a dead one is taken over."""

import errno
import json
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from pipelines.errors import Reason, RunError
from pipelines.inference.lock import LOCK_NAME, FolderLock, locked


def elsewhere(folder: Path, **changed: object) -> dict[str, object]:
    """Write the lock of another machine."""
    holder = {"host": "node7", "pid": 1, "machine": "other", "process": "1 5", "token": "t"}
    (folder / LOCK_NAME).write_text(json.dumps(holder | changed), "utf-8")
    return holder


def hold_and_die(folder: Path) -> None:
    FolderLock(folder).acquire()
    os._exit(9)  # as a kill: nothing is given back


def test_a_held_folder_is_refused_and_says_by_whom(tmp_path):
    with locked(tmp_path / "out"):
        with pytest.raises(RunError, match=f"process {os.getpid()} on") as raised:
            FolderLock(tmp_path / "out").acquire()
        assert raised.value.reason is Reason.OUTPUT_IN_USE
        assert (tmp_path / "out" / LOCK_NAME).exists(), "the holder keeps it"
    assert not list((tmp_path / "out").iterdir())


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path, caplog):
    process = multiprocessing.get_context("fork").Process(target=hold_and_die, args=(tmp_path,))
    process.start()
    process.join(30)
    assert process.exitcode == 9
    left = json.loads((tmp_path / LOCK_NAME).read_text("utf-8"))
    with locked(tmp_path):
        held = json.loads((tmp_path / LOCK_NAME).read_text("utf-8"))
        assert (left["pid"], held["pid"]) == (process.pid, os.getpid())
    assert "ended without giving it back" in caplog.text


def test_a_later_process_with_the_number_of_the_dead_one_is_not_the_holder(tmp_path):
    with locked(tmp_path):
        holder = json.loads((tmp_path / LOCK_NAME).read_text("utf-8"))
    elsewhere(tmp_path, **{**holder, "process": f"{os.getpid()} 1"})
    with locked(tmp_path):
        pass


def test_of_another_machine_only_a_lock_without_a_beat_is_taken_over(tmp_path):
    holder = elsewhere(tmp_path)
    FolderLock(tmp_path, patience_seconds=0.1).acquire()
    assert json.loads((tmp_path / LOCK_NAME).read_text("utf-8"))["pid"] == os.getpid()
    elsewhere(tmp_path)
    beat = threading.Timer(0.2, elsewhere, [tmp_path], {**holder, "beats": 1})
    beat.start()
    with pytest.raises(RunError, match="process 1 on 'node7'"):
        FolderLock(tmp_path, patience_seconds=20).acquire()
    beat.join()


def require_until_lost(lock: FolderLock) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lock.require()
        time.sleep(0.01)


def test_a_holder_that_was_taken_over_stops_and_leaves_the_lock(tmp_path):
    lock = FolderLock(tmp_path, beat_seconds=0.01)
    lock.acquire()
    lock.require()
    elsewhere(tmp_path)
    with pytest.raises(RunError, match="node7"):
        require_until_lost(lock)
    lock.release()
    assert json.loads((tmp_path / LOCK_NAME).read_text("utf-8"))["token"] == "t"


def test_a_lock_is_whole_whenever_its_holder_ends(tmp_path, monkeypatch):
    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "hardlink_to", stop)
    with pytest.raises(KeyboardInterrupt):
        FolderLock(tmp_path).acquire()
    assert not list(tmp_path.iterdir())


def test_a_lock_where_files_have_no_second_names(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with locked(tmp_path), pytest.raises(RunError):
        FolderLock(tmp_path).acquire()
    assert not list(tmp_path.iterdir())


def test_a_lock_beats(tmp_path):
    lock = FolderLock(tmp_path, beat_seconds=0.01)
    lock.acquire()
    deadline = time.monotonic() + 20
    beats = 0
    while beats < 2 and time.monotonic() < deadline:
        text = (tmp_path / LOCK_NAME).read_text("utf-8")
        beats = json.loads(text)["beats"] if text else beats  # it may be about to be written
    lock.release()
    assert beats >= 2
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_folder_that_cannot_be_written_is_said_as_such(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError) as raised:
        FolderLock(tmp_path / "file" / "out").acquire()
    assert raised.value.reason is Reason.OUTPUT_UNWRITABLE
