"""An exported file takes the place of a bundle, and one of a stranger runs nothing of its own."""

import base64
import csv
import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path
from unittest import mock

import monai
import numpy as np
import onnx
import pytest
import torch
from bundle_fixture import SHIPPED, one_torch_thread, write_dicom, write_png, write_tiny_bundle
from export_fixture import quick_export
from onnx import TensorProto, helper

import pipelines
from pipelines.cli import main
from pipelines.deploy.export import export_bundle
from pipelines.deploy.packages import opened
from pipelines.deploy.packages.contents import FILES, files_in
from pipelines.deploy.packages.network_files import onnx_complaints, read_onnx
from pipelines.deploy.packages.opened import find_model
from pipelines.deploy.packages.torchscript_state import torchscript_state, torchscript_texts
from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.predictor import Predictor
from pipelines.ingest.read import read_radiograph
from pipelines.workflows import untrusted

FORMATS = {"torchscript": ".ts", "onnx": ".onnx", "openvino": ".xml"}
FULL = {"inferer": {"_target_": "pipelines.networks.full_precision.FullPrecisionInferer"}}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """One thread, and a network of a few layers among what is allowed."""
    allowed = untrusted.ALLOWED_TARGETS | {"monai.networks.nets.DenseNet"}
    with one_torch_thread(), mock.patch.object(untrusted, "ALLOWED_TARGETS", allowed):
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle that names nothing but what is allowed, with a guard."""
    made = write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")
    configuration = json.loads(made.inference.read_text("utf-8"))
    configuration |= FULL
    configuration["device"] = {"_target_": "pipelines.networks.device.pick_device", "name": "cpu"}
    made.inference.write_text(json.dumps(configuration), "utf-8")
    shutil.copy(SHIPPED / "models" / "guard.npz", made.root / "models")
    return made


@pytest.fixture(scope="module")
def files(bundle, tmp_path_factory):
    """The bundle in every format, by name."""
    folder = tmp_path_factory.mktemp("files")
    with quick_export():
        return {
            name: export_bundle(bundle, export_format=name, output=folder / f"net{suffix}").path
            for name, suffix in FORMATS.items()
        }


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for seed in range(3):
        write_png(folder / f"film{seed}.png", seed=seed)
    return folder


def table(output):
    with (output / "predictions.csv").open(encoding="utf-8") as content:
        return list(csv.DictReader(content))


@pytest.fixture(scope="module")
def expected(bundle, films, tmp_path_factory):
    output = tmp_path_factory.mktemp("expected") / "out"
    assert main(["predict", str(bundle.root), str(films), str(output)]) == 0
    return output


@pytest.mark.parametrize("name", FORMATS)
def test_predict_gives_the_answers_of_the_bundle(name, files, films, expected, tmp_path):
    assert main(["predict", str(files[name]), str(films), str(tmp_path)]) == 0
    found = table(tmp_path)
    assert [row["filename"] for row in found] == [row["filename"] for row in table(expected)]
    for row, other in zip(found, table(expected), strict=True):
        assert row.keys() == other.keys()
        assert row["predicted_label"] == other["predicted_label"]
        assert row["out_of_distribution"] == other["out_of_distribution"] != ""
        for key in row:
            if key.startswith("prob_"):
                assert float(row[key]) == pytest.approx(float(other[key]), abs=1e-4)
    summary, of_bundle = (
        json.loads((each / "summary.json").read_text("utf-8")) for each in (tmp_path, expected)
    )
    same = ("bundle", "bundle_version", "weights_sha256", "threshold", "guard_sha256", "predicted")
    assert {key: summary[key] for key in same} == {key: of_bundle[key] for key in same}
    engine = {"torchscript": "torch", "onnx": "onnxruntime", "openvino": "openvino"}[name]
    assert summary["engine"] == engine
    assert len(summary["exported_file_sha256"]) == 64


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_what_needs_gradients_is_refused_plainly(name, files, films, tmp_path, capsys):
    given = ["predict", str(files[name]), str(films), str(tmp_path / "out"), "--explain"]
    assert main(given) == 2
    assert "which has no gradients" in capsys.readouterr().err
    assert main([*given, "--set", "explainer::method=occlusion"]) == 0
    assert len(list((tmp_path / "out" / "explanations").iterdir())) == 3


def test_another_engine_runs_onnx_and_not_every_one(files, films, expected, tmp_path, capsys):
    given = ["predict", str(files["onnx"]), str(films), str(tmp_path)]
    assert main([*given, "--engine", "openvino"]) == 0
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["engine"] == "openvino"
    for row, other in zip(table(tmp_path), table(expected), strict=True):
        assert float(row["prob_NORMAL"]) == pytest.approx(float(other["prob_NORMAL"]), abs=1e-4)
    assert main([*given, "--engine", "torch"]) == 2
    assert "to be run by onnxruntime or openvino" in capsys.readouterr().err


def test_a_predictor_takes_a_file(files, bundle, films):
    film = read_radiograph(films / "film0.png")
    whole, file = (
        Predictor.from_bundle(each).predict(film)
        for each in (bundle, find_model(str(files["onnx"])))
    )
    assert file.confidence == pytest.approx(whole.confidence, abs=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_check_says_what_a_file_holds(name, files, capsys):
    assert main(["check", str(files[name])]) == 0
    said = capsys.readouterr().out
    assert "ok: tiny 0.0.1" in said
    assert "NORMAL, PNEUMONIA" in said


def changed_texts(path, target, **texts):
    """Copy an ONNX file with other texts."""
    model = onnx.load(path)
    kept = {each.key: each.value for each in model.metadata_props}
    kept |= {name.replace("__", "."): text for name, text in texts.items()}
    del model.metadata_props[:]
    helper.set_model_props(model, kept)
    onnx.save(model, target)
    return target


def configured(path, **changes):
    kept = {each.key: each.value for each in onnx.load(path).metadata_props}
    return json.dumps(json.loads(kept["inference.json"]) | changes)


STRANGE = {
    "a target": ({"preprocessing": {"_target_": "os.system", "command": "true"}}, "os.system"),
    "an expression": ({"image_size": "$__import__('os').getpid()"}, "no \\$ expression"),
    "no engine": ({"engine": ["torch"]}, "expected an engine with its settings"),
    "a way out": ({"refiner": "../../etc/passwd"}, "leads out"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_configuration_that_could_run_code_or_runs_nothing_is_refused(kind, files, tmp_path):
    change, said = STRANGE[kind]
    text = configured(files["onnx"], **change)
    path = changed_texts(files["onnx"], tmp_path / "net.onnx", inference__json=text)
    with pytest.raises(ConfigurationError, match=said):
        find_model(str(path))


@pytest.mark.parametrize(
    "name", ["../out.npz", "models/../../out.npz", "/models/x.npz", "models/.x.npz", "models/x.py"]
)
def test_a_carried_file_never_leaves_its_folder(name):
    with pytest.raises(ConfigurationError, match="expected carried files below models/"):
        files_in({FILES + name: base64.b64encode(b"x").decode()})


def test_a_carried_pickle_is_refused(files, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(print))
    model = onnx.load(files["onnx"])
    prop = model.metadata_props.add()
    prop.key = f"{FILES}models/refiner.pt"
    prop.value = base64.b64encode(content.getvalue()).decode()
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ConfigurationError, match="a pickle of tensors alone"):
        find_model(str(tmp_path / "net.onnx"))


BROKEN = {
    "no number of JSON": {"metadata__json": '{"version": NaN}'},
    "a list in place of an object": {"inference__json": "[]"},
    "another name": {"preprocessing__json": '{"bundle": "../tiny"}'},
    "nesting without end": {"operating_point__json": "[" * 100_000},
    "no base64": {f"{FILES}models/guard__npz": "?"},
    "a file in the place of a folder": {f"{FILES}models/guard__npz/x__npz": "AAAA"},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_descriptions_are_refused_and_leave_nothing(kind, files, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    path = changed_texts(files["onnx"], tmp_path / "net.onnx", **BROKEN[kind])
    with pytest.raises(ConfigurationError):
        find_model(str(path))
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_refused_with_a_reason(name, files, tmp_path):
    content = files[name].read_bytes()
    for place, cut in enumerate((content[: len(content) // 2], b"", b"no such file at all")):
        path = tmp_path / f"{place}{FORMATS[name]}"
        path.write_bytes(cut)
        with pytest.raises(ConfigurationError) as raised:
            find_model(str(path))
        assert raised.value.reason in {Reason.CORRUPT, Reason.CONFIGURATION}


def test_a_file_of_openvino_without_all_its_weights_is_refused(files, tmp_path):
    path = tmp_path / "net.xml"
    shutil.copy(files["openvino"], path)
    with pytest.raises(ConfigurationError, match=r"net\.bin beside it, found no such file"):
        find_model(str(path))
    content = files["openvino"].with_suffix(".bin").read_bytes()
    path.with_suffix(".bin").write_bytes(content[:-100])
    path.touch()
    opened._opened.cache_clear()
    with pytest.raises(ConfigurationError, match="some beyond its end"):
        find_model(str(path))


def test_entities_of_xml_are_refused(files, tmp_path):
    text = files["openvino"].read_text("utf-8")
    bomb = text.replace("<net ", '<!DOCTYPE net [<!ENTITY a "aaaa">]><net ', 1)
    (tmp_path / "net.xml").write_text(bomb, "utf-8")
    with pytest.raises(ConfigurationError) as raised:
        find_model(str(tmp_path / "net.xml"))
    assert raised.value.reason is Reason.CORRUPT


def graph(*nodes, **kinds):
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("image", "pred")
    ]
    return helper.make_model(helper.make_graph(list(nodes), "net", values[:1], values[1:]), **kinds)


def outside():
    model = graph(helper.make_node("Add", ["image", "w"], ["pred"]))
    weights = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    model.graph.initializer.append(weights)
    return model


def sparse():
    """A constant whose values a runtime would read from another file."""
    values = outside().graph.initializer[0]
    values.external_data.add(key="location", value="other.bin")
    indices = onnx.numpy_helper.from_array(np.zeros(1, np.int64), "i")
    constant = helper.make_sparse_tensor(values, indices, [1])
    return graph(
        helper.make_node("Constant", [], ["c"], sparse_value=constant),
        helper.make_node("Add", ["image", "c"], ["pred"]),
    )


NETWORKS = {
    "an operation of a library": (
        lambda: graph(helper.make_node("Run", ["image"], ["pred"], domain="evil")),
        "of another library",
    ),
    "a loop": (
        lambda: graph(
            helper.make_node(
                "Loop",
                ["", "image"],
                ["pred"],
                body=graph(helper.make_node("Relu", ["image"], ["pred"])).graph,
            )
        ),
        "'Loop' is not on the list",
    ),
    "weights elsewhere": (outside, "some that lie in others"),
    "sparse constants": (sparse, "got sparse ones"),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_that_is_more_than_a_graph_is_refused(kind, tmp_path):
    make, said = NETWORKS[kind]
    onnx.save(make(), tmp_path / "net.onnx")
    complaints = " ".join(onnx_complaints(read_onnx(tmp_path / "net.onnx")))
    assert said in complaints


def test_the_numbers_of_torchscript_are_those_of_the_network(files, bundle):
    state = torch.load(bundle.weights, weights_only=True)
    found = torchscript_state(files["torchscript"])
    names = json.loads(torchscript_texts(files["torchscript"])["state.json"])
    assert sorted(names) == sorted(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.float().numpy().astype(found[name].dtype))


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_the_pickle_of_torchscript_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("net.ts", "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ConfigurationError, match="names __builtin__"):
        torchscript_state(tmp_path / "net.ts")
    assert not (tmp_path / "ran").exists()


def below(count, inside=b""):
    """A pickle of modules, each of which holds the one before twice."""
    made = b"\x80\x02c__torch__\nM\n)\x81q\x00"
    for place in range(count):
        held = b"X\x01\0\0\0" + b"ah" + bytes([place]) + b"X\x01\0\0\0" + b"bh" + bytes([place])
        made += b"c__torch__\nM\n)\x81}(" + held + b"ubq" + bytes([place + 1])
    return made + inside + b"."


MODULE_SET = (
    b"c__torch__\nM\nN}X\x0c\0\0\0__setstate__ctorch.jit._pickle\nrestore_type_tag\ns\x86b0"
)
PICKLES = {
    "modules without an end": (below(60), "without an end"),
    "a place far out in memory": (b"\x80\x02Nr\xff\xff\xff\x7f.", "keeps more than it holds"),
    "a class that is changed": (below(0, MODULE_SET), "AttributeError"),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_that_would_take_time_memory_or_our_classes_is_refused(kind, tmp_path):
    content, said = PICKLES[kind]
    with zipfile.ZipFile(tmp_path / "net.ts", "w") as archive:
        archive.writestr("net/data.pkl", content)
    with pytest.raises(ConfigurationError, match=said):
        torchscript_state(tmp_path / "net.ts")


def damaged_stream(content):
    start = content.find(b"net/data.pkl") + len("net/data.pkl")
    return content[:start] + b"\xff" * 6 + content[start + 6 :]


def locked(content):
    """Say of every member that a password is needed."""
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = content.find(mark) + flags
        content = content[:at] + b"\x01" + content[at + 1 :]
    return content


@pytest.mark.parametrize("harm", [damaged_stream, locked])
def test_an_archive_that_cannot_be_unpacked_is_refused_with_a_reason(harm, tmp_path):
    with zipfile.ZipFile(tmp_path / "net.ts", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02N." * 100)
    (tmp_path / "net.ts").write_bytes(harm((tmp_path / "net.ts").read_bytes()))
    with pytest.raises(ConfigurationError) as raised:
        torchscript_state(tmp_path / "net.ts")
    assert raised.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("name", FORMATS)
def test_no_path_of_this_machine_is_in_a_file(name, files):
    path = files[name]
    contents = [path.read_bytes()]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            contents = [archive.read(each) for each in archive.infolist()]
    for package in (torch, monai, pipelines):
        folder = str(Path(package.__file__).parent).encode()
        assert not any(
            folder in content or package.__file__.encode() in content for content in contents
        )


def test_a_name_that_is_not_there_is_refused(tmp_path, capsys):
    (tmp_path / "model.onnx").write_bytes(b"")
    assert main(["check", str(tmp_path / "modle.onnx")]) == 2
    assert "did you mean 'model.onnx'" in capsys.readouterr().err


def test_dicom_objects_of_an_exported_classifier_show_where_it_looked(files, tmp_path):
    (tmp_path / "in").mkdir()
    write_dicom(tmp_path / "in" / "film.dcm")
    given = ["predict", str(files["onnx"]), str(tmp_path / "in"), str(tmp_path / "out")]
    assert main([*given, "--dicom", "sr,sc"]) == 0
    made = [path.name[:2] for path in (tmp_path / "out" / "dicom").glob("*.dcm")]
    assert sorted(made) == ["sc", "sr"]
