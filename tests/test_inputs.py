"""Films of lists and stores get the answers that the same films of a folder get."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_png, write_tiny_bundle
from s3_fixture import s3_store, upload

from pipelines.errors import ConfigurationError, InputError, Reason
from pipelines.inference.batch import predict_folder
from pipelines.inference.merge import merge_shards
from pipelines.ingest import objects
from pipelines.ingest.inputs import listed_inputs
from pipelines.ingest.lists import read_list
from pipelines.ingest.objects import ObjectStore, scheme_of
from pipelines.ingest.shard import Shard
from pipelines.workflows.bundle import Bundle

BUCKET = "hospital"


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with one_torch_thread():
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("input") / "films"
    for number in range(3):
        write_png(folder / "png" / f"{number}.png", seed=number)
        write_dicom(folder / f"{number}.dcm", seed=10 + number)
    (folder / "copy.dcm").write_bytes((folder / "2.dcm").read_bytes())
    (folder / "cut.dcm").write_bytes((folder / "1.dcm").read_bytes()[:3000])
    (folder / "notes.txt").write_text("no film")
    return folder


@pytest.fixture(scope="module")
def whole(bundle, films, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole")
    with one_torch_thread():
        predict_folder(bundle, films, output, overrides={})
    return output


@pytest.fixture(scope="module")
def store(films) -> Iterator[str]:
    with s3_store() as address:
        upload(films, BUCKET, "deep/films")
        yield address


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def same_tables(one: Path, other: Path) -> None:
    for table in ("predictions.csv", "failures.csv"):
        assert (one / table).read_bytes() == (other / table).read_bytes()


def test_a_bucket_gives_the_tables_of_a_folder_and_goes_on(bundle, store, whole, tmp_path):
    url = f"s3://{BUCKET}/deep/films/"
    summary = predict_folder(bundle, url, tmp_path / "out", overrides={"reader::ahead": 2})
    assert (summary["inputs"], summary["predicted"], summary["skipped"]) == (9, 6, 2)
    same_tables(tmp_path / "out", whole)
    assert not (tmp_path / "out" / ".fetched").exists()
    assert (tmp_path / "out" / "contact_sheet.png").read_bytes() == (
        whole / "contact_sheet.png"
    ).read_bytes()
    again = predict_folder(bundle, url, tmp_path / "out", overrides={})
    assert again["from_earlier_run"] == 6
    same_tables(tmp_path / "out", whole)


def test_shards_of_a_bucket_merge_to_the_same_tables(bundle, store, whole, tmp_path):
    for index in range(2):
        shard = Shard(2, index)
        predict_folder(bundle, f"s3://{BUCKET}/deep", tmp_path / "out", overrides={}, shard=shard)
    assert merge_shards(tmp_path / "out")["inputs"] == 9
    names = [row["filename"] for row in rows(tmp_path / "out" / "predictions.csv")]
    assert names == [f"films/{row['filename']}" for row in rows(whole / "predictions.csv")]


def test_an_object_that_is_gone_has_a_reason_and_a_changed_one_is_read(
    bundle, store, films, tmp_path
):
    upload(films / "png", BUCKET, "changing")
    listed = tmp_path / "films.txt"
    names = ("0.png", "1.png", "none.png")
    listed.write_text("".join(f"s3://{BUCKET}/changing/{name}\n" for name in names))
    summary = predict_folder(bundle, listed, tmp_path / "out", overrides={})
    assert (summary["predicted"], summary["reasons"]) == (2, {"missing": 1})
    (failure,) = rows(tmp_path / "out" / "failures.csv")
    assert failure["filename"] == f"{BUCKET}/changing/none.png"
    write_png(tmp_path / "new" / "1.png", seed=8)
    upload(tmp_path / "new", BUCKET, "changing")
    assert predict_folder(bundle, listed, tmp_path / "out", overrides={})["from_earlier_run"] == 1


def test_a_bucket_that_is_not_there_is_said(bundle, store, tmp_path):
    with pytest.raises(ConfigurationError, match=r"at least one file|can be listed"):
        predict_folder(bundle, "s3://nowhere/films", tmp_path / "out", overrides={})


@pytest.mark.parametrize("kind", ["films.txt", "films.csv", "films.parquet", "-", "file"])
def test_lists_of_every_kind(bundle, films, whole, tmp_path, monkeypatch, kind):
    names = sorted(path.relative_to(films).as_posix() for path in films.rglob("*.*"))
    source = films / kind
    if kind == "films.csv":
        lines = "".join(f"{n},{name}\n" for n, name in enumerate(names))
        source.write_text(f"age,path\n{lines}")
    elif kind == "films.parquet":
        arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        from pyarrow.parquet import write_table

        write_table(arrow.table({"filename": names, "age": range(len(names))}), source)
    elif kind == "films.txt":
        source.write_text("".join(f"{name}\r\n\n" for name in [*names, names[0]]))
    else:
        monkeypatch.chdir(films)
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{name}\n" for name in names)))
    given = {"-": "-", "file": f"file://{films}"}.get(kind, source)
    try:
        predict_folder(bundle, given, tmp_path / "out", overrides={})
    finally:
        source.unlink(missing_ok=True)
    same_tables(tmp_path / "out", whole)


def test_entries_keep_their_names(tmp_path):
    listed = tmp_path / "list" / "films.txt"
    listed.parent.mkdir()
    listed.write_text(f"a/b.png\n./c.png\n../d.png\n{tmp_path}/list/e.png\nfile:///f.png\n")
    names = [entry.filename for entry in listed_inputs(str(listed))[0]]
    outside = (tmp_path / "d.png").as_posix().lstrip("/")
    assert names == ["a/b.png", "c.png", outside, "e.png", "f.png"]


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path):
    (tmp_path / "films.txt").write_text("a.png\nb.png\n", "utf-8-sig")
    assert read_list(str(tmp_path / "films.txt")) == ["a.png", "b.png"]


def test_a_film_that_is_listed_and_not_there_fails_alone(bundle, films, tmp_path):
    (tmp_path / "films.txt").write_text(f"{films}/0.dcm\n{films}/none.dcm\n{films}/png\n")
    summary = predict_folder(bundle, tmp_path / "films.txt", tmp_path / "out", overrides={})
    assert summary["predicted"] == 1
    assert summary["reasons"] == {"missing": 1, "not_an_image": 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://host/film.png", "download the films first"),
        ("s3://key:secret@bucket/films", "without credentials"),
    ],
)
def test_urls_that_are_not_taken(given, said):
    with pytest.raises(ConfigurationError, match=said) as raised:
        scheme_of(given)
    assert "secret" not in str(raised.value)


def test_lists_that_cannot_be_read(tmp_path):
    (tmp_path / "a.csv").write_text("name,age\nx,1\n")
    with pytest.raises(ConfigurationError, match="column 'path' or 'filename'"):
        read_list(str(tmp_path / "a.csv"))
    with pytest.raises(ConfigurationError, match="a list of films that can be read"):
        read_list(str(tmp_path / "none.txt"))
    (tmp_path / "b.parquet").write_text("no parquet")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    with pytest.raises(ConfigurationError, match="expected a Parquet file"):
        read_list(str(tmp_path / "b.parquet"))


class Flaky:
    """A store that fails a few times before it answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = [*failures]
        self.calls = 0

    def cat_file(self, _url: str, **_range: int) -> bytes:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return b"film"

    def find(self, _prefix: str, **_options: bool) -> dict[str, dict[str, Any]]:
        about = {"size": 3, "type": "file", "ETag": "x"}
        return dict.fromkeys(("b/p/a/../../../../x.png", "b/p/é.png", "b/p/folder/"), about)


@pytest.mark.parametrize(
    ("failures", "calls", "reason"),
    [
        ([OSError("reset"), TimeoutError()], 3, None),
        ([OSError("reset")] * 9, 4, Reason.FETCH_FAILED),
        ([FileNotFoundError()], 1, Reason.MISSING),
        ([PermissionError()], 1, Reason.FETCH_FAILED),
    ],
)
def test_a_store_that_fails_in_passing_is_asked_again(monkeypatch, failures, calls, reason):
    monkeypatch.setattr(objects, "_FIRST_WAIT_SECONDS", 0.0)
    flaky = Flaky(*failures)
    store = ObjectStore("s3", files=flaky)
    if reason is None:
        assert store.head("s3://b/x.png", 10) == b"film"
    else:
        with pytest.raises(InputError) as raised:
            store.head("s3://b/x.png", 10)
        assert raised.value.reason is reason
    assert flaky.calls == calls


def test_a_name_that_leads_elsewhere_is_no_input(monkeypatch):
    from pipelines.ingest import inputs

    monkeypatch.setattr(inputs, "ObjectStore", lambda scheme: ObjectStore(scheme, files=Flaky()))
    entries, _ = inputs.stored_inputs("s3://b/p", ".journal.jsonl")
    refused = {entry.filename: entry.refusal is not None for entry in entries}
    assert refused == {"a/../../../../x.png": True, "é.png": False}


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(objects.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"install plainfilm\[gs\]"):
        ObjectStore("gs").open()
