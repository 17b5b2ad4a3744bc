"""Films come in once, are durable before anybody is told so, and leave no name behind."""

import contextlib
import logging
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
import pytest
from bundle_fixture import write_dicom

from pipelines.deploy.node.database import Database
from pipelines.deploy.node.films import Films, MadeObject
from pipelines.deploy.node.inbox import Inbox, Receipt, ReceiptState, Source
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.settings import (
    DicomSettings,
    LimitSettings,
    NodeSettings,
    RetentionSettings,
    Rule,
)
from pipelines.deploy.node.spool import Spool
from pipelines.deploy.node.states import DeliveryState, FilmState
from pipelines.errors import ConfigurationError, Reason

SENDER = Source("dicom", "ROOM1")
CHEST = Rule("chest", "pneumonia_classification", body_part=("CHEST",))


@dataclass
class Parts:
    settings: NodeSettings
    spool: Spool
    database: Database
    inbox: Inbox
    films: Films

    def close(self) -> None:
        self.database.close()
        self.spool.close()


def open_parts(settings: NodeSettings) -> Parts:
    spool = Spool(settings.data_dir)
    database = Database(settings.data_dir / "node.sqlite")
    films = Films(settings, spool, database)
    films.recover()
    inbox = Inbox(settings, spool, database, Metrics())
    inbox.recover()
    return Parts(settings, spool, database, inbox, films)


@pytest.fixture
def settings(tmp_path) -> NodeSettings:
    return NodeSettings(tmp_path / "data", (CHEST,), limits=LimitSettings(free_disk_mb=0))


@pytest.fixture
def parts(settings) -> Iterator[Parts]:
    parts = open_parts(settings)
    yield parts
    parts.close()


@pytest.fixture
def film(tmp_path) -> Path:
    return write_dicom(tmp_path / "brought" / "film.dcm", name="CANARY^NAME", patient="CANARY-ID")


def changed(path: Path, **attributes: object) -> bytes:
    dataset = pydicom.dcmread(path)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if "SOPInstanceUID" in attributes:
        dataset.file_meta.MediaStorageSOPInstanceUID = attributes["SOPInstanceUID"]
    out = path.with_name("changed.dcm")
    dataset.save_as(out)
    return out.read_bytes()


def files(parts: Parts) -> list[str]:
    root = parts.spool.root
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*.dcm"))


def test_a_film_is_queued_under_an_id_of_ours(parts, film):
    receipt = parts.inbox.add(film, source=SENDER)
    assert receipt == Receipt(ReceiptState.QUEUED, receipt.film)
    assert files(parts) == [f"films/{receipt.film}.dcm"]
    assert parts.spool.film(receipt.film).read_bytes() == film.read_bytes()
    assert parts.inbox.arrived.is_set()
    view = parts.films.find(receipt.film)
    assert (view.state, view.rule) == (FilmState.QUEUED, "chest")
    assert parts.films.find("other") is None
    assert stat.S_IMODE(parts.spool.root.stat().st_mode) == 0o700


def test_the_same_film_again_is_no_second_film(parts, film):
    first = parts.inbox.add(film.read_bytes(), source=SENDER)
    again = parts.inbox.add(film, source=Source("stow"))
    assert again == Receipt(ReceiptState.DUPLICATE, first.film)
    renamed = parts.inbox.add(changed(film, PatientName="Corrected^Name"), source=SENDER)
    assert renamed == again, "a corrected header does not make another film"
    assert len(files(parts)) == 1


def test_other_pixels_under_a_known_uid_are_reported(parts, film, caplog):
    caplog.set_level(logging.INFO)
    parts.inbox.add(film, source=SENDER)
    pixels = bytearray(pydicom.dcmread(film).PixelData)
    pixels[0] ^= 1
    receipt = parts.inbox.add(changed(film, PixelData=bytes(pixels)), source=SENDER)
    assert (receipt.state, receipt.reason) == (ReceiptState.REFUSED, Reason.UID_CONFLICT)
    assert "film_refused source=dicom calling_ae=ROOM1 reason=uid_conflict" in caplog.text
    assert len(files(parts)) == 1


@pytest.mark.parametrize(
    "uid", ["../../../../tmp/x", "1.2.3/../4", "1..2", "1.02", "1." * 40 + "1", "", "1.2\n3"]
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom says that the UID is wrong
def test_a_uid_that_is_none_is_refused_and_reaches_no_path(parts, film, uid, caplog):
    caplog.set_level(logging.INFO)
    receipt = parts.inbox.add(changed(film, SOPInstanceUID=uid), source=SENDER)
    assert (receipt.state, receipt.reason) == (ReceiptState.REFUSED, Reason.INVALID_UID)
    assert files(parts) == []
    announced = parts.inbox.add(film, source=SENDER, announced=uid)
    assert announced.reason is Reason.INVALID_UID
    ours = [record.message for record in caplog.records if record.name.startswith("pipelines")]
    assert ours == ["film_refused source=dicom calling_ae=ROOM1 reason=invalid_uid"] * 2


def test_a_uid_other_than_the_announced_one_is_refused(parts, film):
    assert parts.inbox.add(film, source=SENDER, announced="1.2.3").reason is Reason.INVALID_UID


def test_what_no_rule_takes_is_kept_and_queued_once_one_does(parts, film, caplog):
    caplog.set_level(logging.INFO)
    receipt = parts.inbox.add(changed(film, BodyPartExamined="HAND"), source=SENDER)
    assert (receipt.state, receipt.reason) == (ReceiptState.KEPT, Reason.NO_RULE)
    assert files(parts) == [f"unmatched/{receipt.film}.dcm"]
    assert "film_kept" in caplog.text
    assert "reason=no_rule" in caplog.text
    parts.close()
    hands = replace(parts.settings, rules=(CHEST, Rule("hands", "x", body_part=("HAND",))))
    later = open_parts(hands)
    assert later.films.find(receipt.film).rule == "hands"
    assert later.films.next_rule() == "hands"
    assert files(later) == [f"films/{receipt.film}.dcm"]
    later.close()


def test_a_damaged_header_is_kept_with_its_reason_and_known_again(parts, film):
    cut = film.read_bytes()[:1200]
    receipt = parts.inbox.add(cut, source=SENDER)
    assert (receipt.state, receipt.reason) == (ReceiptState.KEPT, Reason.TRUNCATED)
    assert files(parts) == [f"failed/{receipt.film}.dcm"]
    assert parts.inbox.add(cut, source=SENDER) == Receipt(ReceiptState.DUPLICATE, receipt.film)


def test_what_is_no_radiograph_is_refused(parts, film):
    for content, reason in (
        (b"", Reason.EMPTY_FILE),
        (b"a note", Reason.NOT_AN_IMAGE),
        (changed(film, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), Reason.NOT_A_RADIOGRAPH),
    ):
        receipt = parts.inbox.add(content, source=SENDER)
        assert (receipt.state, receipt.reason) == (ReceiptState.REFUSED, reason)
    assert files(parts) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dicom": DicomSettings(max_object_mb=0.001)}, Reason.TOO_LARGE),
        ({"limits": LimitSettings(free_disk_mb=1e12)}, Reason.DISK_FULL),
        ({"limits": LimitSettings(queue=1, free_disk_mb=0)}, Reason.QUEUE_FULL),
    ],
)
def test_more_than_there_is_room_for_is_refused(settings, film, tmp_path, change, reason):
    parts = open_parts(replace(settings, **change))
    if reason is Reason.QUEUE_FULL:
        parts.inbox.add(write_dicom(tmp_path / "other.dcm", seed=1), source=SENDER)
    receipt = parts.inbox.add(film, source=SENDER)
    assert (receipt.state, receipt.reason) == (ReceiptState.REFUSED, reason)
    assert parts.films.count(FilmState.QUEUED) == (reason is Reason.QUEUE_FULL)
    parts.close()


def test_a_disk_that_fills_while_writing_is_told_to_the_sender(parts, film, monkeypatch):
    def full(_self, _content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    receipt = parts.inbox.add(film.read_bytes(), source=SENDER)
    assert (receipt.state, receipt.reason) == (ReceiptState.REFUSED, Reason.DISK_FULL)


def test_a_start_clears_what_was_never_whole(parts, film):
    receipt = parts.inbox.add(film, source=SENDER)
    parts.spool.incoming("half").write_bytes(b"half a film")
    (parts.spool.results / "stranger").mkdir()
    parts.close()
    later = open_parts(parts.settings)
    assert files(later) == [f"films/{receipt.film}.dcm"]
    assert list(later.spool.results.iterdir()) == []
    assert [queued.id for queued in later.films.take("chest", after=0, most=9)] == [receipt.film]
    later.close()


@pytest.mark.parametrize("older", [False, True])
def test_films_outlive_a_database_that_is_gone_or_older(parts, film, tmp_path, older):
    first = parts.inbox.add(film, source=SENDER).film
    backup = parts.spool.root.with_name("backup.sqlite")
    with contextlib.closing(sqlite3.connect(backup)) as copy:
        parts.database._connection.backup(copy)
    other = write_dicom(tmp_path / "other.dcm", seed=1)
    parts.inbox.add(other, source=SENDER)
    damaged = parts.inbox.add(film.read_bytes()[:1200], source=SENDER)
    parts.close()
    for path in parts.spool.root.glob("node.sqlite*"):
        path.unlink()
    if older:
        backup.replace(parts.spool.root / "node.sqlite")
    note = parts.spool.film("note")
    note.write_bytes(b"no film")
    (parts.spool.root / "films" / "folder").mkdir()
    later = open_parts(parts.settings)
    assert later.films.count(FilmState.QUEUED) == 2
    assert later.films.count(FilmState.FAILED) == 1
    assert note.is_file(), "what is no film of ours stays"
    kept = {path for path in later.spool.root.rglob("*.dcm") if path != note}
    assert len(kept) == 3
    assert {film.read_bytes(), other.read_bytes()} < {path.read_bytes() for path in kept}
    assert (later.films.find(first) is not None) == older
    assert later.films.find(damaged.film) is None
    assert later.inbox.add(other, source=SENDER).state is ReceiptState.DUPLICATE
    later.close()


@pytest.mark.parametrize("at_arrival", [True, False])
def test_a_whole_film_takes_the_place_of_a_damaged_one(parts, film, at_arrival):
    uid = str(pydicom.dcmread(film).SOPInstanceUID)
    if at_arrival:
        damaged = parts.inbox.add(film.read_bytes()[:1200], source=SENDER, announced=uid)
        cut = parts.inbox.add(film.read_bytes()[:1300], source=SENDER, announced=uid)
        assert cut.reason is Reason.UID_CONFLICT, "it is no better"
    else:
        damaged = parts.inbox.add(changed(film, PixelData=bytes(6_000)), source=SENDER)
        parts.films.fail(damaged.film, Reason.DECODE_FAILED, "expected pixels")
    assert files(parts) == [f"failed/{damaged.film}.dcm"]
    receipt = parts.inbox.add(film, source=SENDER, announced=uid)
    assert receipt == Receipt(ReceiptState.QUEUED, receipt.film)
    assert files(parts) == [f"films/{receipt.film}.dcm"]
    assert parts.films.find(damaged.film) is None


def test_a_film_that_broke_the_network_is_in_the_way_of_another(parts, film):
    receipt = parts.inbox.add(film, source=SENDER)
    parts.films.fail(receipt.film, Reason.INTERNAL, "expected a prediction")
    other = parts.inbox.add(changed(film, PixelData=bytes(6_000)), source=SENDER)
    assert other.reason is Reason.UID_CONFLICT


def test_a_folder_that_others_could_read_is_closed_to_them(settings):
    settings.data_dir.mkdir(mode=0o755)
    settings.data_dir.chmod(0o755)
    open_parts(settings).close()
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


def test_a_film_whose_file_is_gone_fails_and_stops_nothing(parts, film):
    receipt = parts.inbox.add(film, source=SENDER)
    parts.spool.film(receipt.film).unlink()
    parts.close()
    later = open_parts(parts.settings)
    assert later.films.find(receipt.film).reason == Reason.FILE_UNREADABLE
    later.close()


def test_what_somebody_has_removed_by_hand_is_forgotten(parts, film):
    receipt = parts.inbox.add(changed(film, BodyPartExamined="HAND"), source=SENDER)
    parts.spool.film(receipt.film, "unmatched").unlink()
    parts.close()
    later = open_parts(parts.settings)
    assert later.films.find(receipt.film) is None
    assert later.inbox.add(film, source=SENDER).state is ReceiptState.QUEUED
    later.close()


def test_one_process_at_a_time_uses_a_folder(parts):
    with pytest.raises(ConfigurationError, match="another node is using"):
        Spool(parts.spool.root)


def test_a_folder_of_another_version_is_refused(parts):
    with parts.database.transaction() as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(ConfigurationError, match="version 99"):
        Database(parts.spool.root / "node.sqlite")


def test_a_film_is_finished_with_its_deliveries_and_purged_when_done(settings, film):
    parts = open_parts(replace(settings, retention=RetentionSettings(done_hours=0)))
    identifier = parts.inbox.add(film, source=SENDER).film
    (queued,) = parts.films.take("chest", after=0, most=5)
    assert (queued.id, queued.starts) == (identifier, 0)
    assert parts.films.take("chest", after=queued.seq, most=5) == []
    for _ in range(2):  # a second time changes nothing
        made = [MadeObject("sr.dcm", "2.25.1"), MadeObject("sc.dcm", "2.25.2")]
        parts.films.finish(identifier, made, destinations=["pacs"])
    view = parts.films.find(identifier)
    assert (view.state, view.waiting) == (FilmState.PREDICTED, 2)
    assert parts.films.purge() == 0
    with parts.database.transaction() as connection:
        connection.execute("UPDATE delivery SET state = ?", (DeliveryState.DELIVERED.value,))
        connection.execute("UPDATE film SET state = ?", (FilmState.DONE.value,))
    assert parts.films.purge() == 1
    assert files(parts) == []
    assert parts.films.find(identifier) is None
    assert sum(parts.films.counts().values()) == 0
    parts.close()


def test_the_log_and_the_database_name_nobody(parts, film, caplog):
    caplog.set_level(logging.DEBUG)
    uid = str(pydicom.dcmread(film).SOPInstanceUID)
    for _ in range(2):
        parts.inbox.add(film, source=SENDER)
    parts.inbox.add(film.read_bytes()[:1200], source=SENDER)
    written = b"".join(p.read_bytes() for p in parts.spool.root.glob("node.sqlite*"))
    for canary in ("CANARY", uid):
        assert canary not in caplog.text
        assert canary.encode() not in written
