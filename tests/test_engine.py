"""Whichever engine runs the network, films get the same answers; what was converted is kept."""

import json
import logging
import os
import time

import numpy as np
import pytest
import torch
from bundle_fixture import TINY, one_torch_thread, write_png, write_tiny_bundle, write_weights
from monai.networks.nets import DenseNet
from scipy.special import expit
from torch import nn

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.inference import engine as engine_module
from pipelines.inference import engine_cache, engine_trial
from pipelines.inference.batch import predict_folder
from pipelines.inference.engine import Engine
from pipelines.inference.explain import ExplainedNetwork
from pipelines.inference.predictor import Predictor
from pipelines.ingest.read import read_radiograph
from pipelines.networks.augmented import AugmentedInferer
from pipelines.networks.device import usable_cores
from pipelines.networks.full_precision import FullPrecisionInferer, needs_full_precision
from pipelines.networks.runtimes import onnx_file
from pipelines.networks.runtimes.definition import definition
from pipelines.unfinished import held_folder

ENGINES = ("torch", "onnxruntime", "openvino")
CONVERTED = ("onnxruntime", "openvino")


@pytest.fixture(autouse=True)
def one_thread():
    with one_torch_thread():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights, and the cache of all tests that want none of their own."""
    made = tmp_path_factory.mktemp("engine")
    write_weights(made)
    return made


@pytest.fixture(autouse=True)
def cache(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder / "cache" / "plainfilm"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "plainfilm"


@pytest.fixture
def conversions(monkeypatch):
    """Every conversion, in place of which a network is written that does nothing."""
    done = []

    def write(network, path, *, shape):
        done.append(shape)
        path.write_bytes(b"a converted network")

    monkeypatch.setattr(onnx_file, "to_onnx", write)
    monkeypatch.setattr(
        engine_module, "open_runtime", lambda *_, **__: lambda images: images.mean((2, 3))
    )
    return done


def engine(folder=None, **settings):
    network = nn.Identity() if folder is None else DenseNet(**TINY)
    weights = "model.pt" if folder is None else folder / "models" / "model.pt"
    inferer = settings.pop("inferer", AugmentedInferer(flips=["left_right"]))
    return Engine(network, weights, device="cpu", inferer=inferer, **settings)


def films(count, seed=0):
    return torch.randn(count, 1, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_batches_at_once():
    assert engine().at_once == usable_cores()
    assert engine(at_once=1).at_once == 1


@pytest.mark.parametrize("settings", [{"at_once": 0}, {"batch_size": 1.5}, {"at_once": True}])
def test_wrong_numbers_are_refused(settings):
    with pytest.raises(ConfigurationError, match="a whole number above 0"):
        engine(**settings)


def test_a_wrong_name_gets_the_right_one():
    with pytest.raises(ConfigurationError, match="did you mean 'openvino'"):
        engine(name="open_vino")
    with pytest.raises(ConfigurationError, match="did you mean 'auto'"):
        engine(name="autos")


@pytest.mark.parametrize("name", CONVERTED)
def test_other_engines_give_the_answers_of_torch(folder, name):
    images = films(7)
    expected = engine(folder, batch_size=4)(images[:4])
    other = engine(folder, name=name, batch_size=4)
    np.testing.assert_allclose(expit(other(images[:4])), expit(expected), atol=0.02)
    # A film gets the same answer in whatever company it comes.
    np.testing.assert_array_equal(other(images[3:4]), other(images[3:])[:1])
    assert other.name == name


def test_full_precision_is_float32_in_every_engine(folder):
    inferer = AugmentedInferer(flips=["up_down"], inferer=FullPrecisionInferer())
    assert needs_full_precision(inferer)
    expected, *others = (engine(folder, name=name, inferer=inferer)(films(4)) for name in ENGINES)
    for found in others:
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_explanations_get_the_network_of_torch(folder):
    running = engine(folder, name="openvino")
    running(films(2))
    (explained,) = ExplainedNetwork(running)(films(1), target=[1])
    assert np.isfinite(next(iter(explained.heats.values()))).all()


def test_a_converted_network_is_kept_for_the_next_time(folder, empty_cache, conversions):
    for _ in range(2):
        assert engine(folder, name="onnxruntime")(films(2)).shape == (2, 1)
    assert conversions == [(1, 32, 32)]
    assert empty_cache.stat().st_mode & 0o777 == 0o700
    engine(folder, name="onnxruntime")(torch.zeros(1, 1, 64, 32))
    assert conversions[1:] == [(1, 64, 32)]


def test_a_damaged_file_is_converted_anew(folder, empty_cache, conversions):
    engine(folder, name="openvino")(films(1))
    (kept,) = empty_cache.glob("*.onnx")
    kept.write_bytes(b"something else")
    engine(folder, name="openvino")(films(1))
    (again,) = empty_cache.glob("*.onnx")
    assert (len(conversions), again.read_bytes()) == (2, b"a converted network")


@pytest.mark.parametrize("mode", [0o777, None], ids=["open to all", "a file in its place"])
def test_a_cache_that_cannot_be_trusted_or_made_is_no_error(
    folder, empty_cache, conversions, mode, monkeypatch
):
    monkeypatch.setattr(engine_cache, "_temporary_folder", lambda: folder)
    empty_cache.parent.mkdir()
    if mode is None:
        empty_cache.write_text("")
    else:
        empty_cache.mkdir()
        empty_cache.chmod(mode)
    assert engine(folder, name="openvino")(films(1)).shape == (1, 1)
    assert len(conversions) == 1
    assert mode is None or not list(empty_cache.iterdir())
    for kept in folder.glob("*.onnx"):
        kept.unlink()


def test_what_was_not_used_for_longest_is_forgotten_first(empty_cache, monkeypatch):
    monkeypatch.setattr(engine_cache, "_MOST_KEPT", 2)
    for number, key in enumerate(("a", "b", "a", "c")):
        path = engine_cache.converted(key, lambda each, key=key: each.write_text(key))
        os.utime(path, (number, number))
    assert sorted(path.name[0] for path in empty_cache.glob("*.onnx")) == ["a", "c"]


def test_what_a_killed_conversion_left_behind_is_removed_and_no_other(empty_cache):
    (empty_cache / ".converting-old").mkdir(parents=True)
    with held_folder(empty_cache, ".converting-x") as other:
        engine_cache.converted("a", lambda each: each.write_text("a"))
        assert [path.name for path in empty_cache.glob(".converting-*")] == [other.name]


def test_a_network_is_kept_though_the_clock_was_set_back(empty_cache, monkeypatch):
    monkeypatch.setattr(engine_cache, "_MOST_KEPT", 2)
    later = time.time() + 1_000_000
    for key in ("a", "b"):
        os.utime(
            engine_cache.converted(key, lambda each, key=key: each.write_text(key)), (later,) * 2
        )
    assert engine_cache.converted("c", lambda each: each.write_text("c")).read_text() == "c"
    assert len(list(empty_cache.glob("*.onnx"))) == 2


def test_auto_takes_the_quickest_that_answers_like_torch(folder, empty_cache, monkeypatch, caplog):
    monkeypatch.setattr(engine_trial, "_SECONDS", 0.01)
    monkeypatch.setattr(engine_trial, "_speed", lambda run, *_, **__: len(run.keywords["name"]))
    caplog.set_level(logging.INFO)
    running = engine(folder, name="auto", batch_size=2)
    running(films(2))
    assert running.name == "onnxruntime"  # the longest name
    assert "engine onnxruntime is the quickest here; films/s: torch 5.0" in caplog.text

    monkeypatch.setattr(engine_module, "measure", None)  # no second trial
    again = engine(folder, name="auto", batch_size=2)
    again(films(2))
    assert again.name == "onnxruntime"
    assert "an earlier trial has found" in caplog.text
    (choice,) = empty_cache.glob("*.json")
    assert json.loads(choice.read_text("utf-8"))["engine"] == "onnxruntime"


def trial(outputs, *, precise):
    """Try engines of which each gives what it is told to."""

    def start(name):
        if name not in outputs:
            raise ConfigurationError(Reason.CONFIGURATION, f"{name} is not installed")
        return lambda images: outputs[name]

    return engine_trial.measure(ENGINES, start, films(1), at_once=2, precise=precise)


@pytest.mark.parametrize(
    ("precise", "openvino", "left"),
    [
        (False, [[0.03]], {"torch", "openvino"}),
        (False, [[0.3]], {"torch"}),
        (False, [[float("nan")]], {"torch"}),
        (False, [[0.0, 0.0]], {"torch"}),
        (True, [[0.03]], {"torch"}),
        (True, [[0.0005]], {"torch", "openvino"}),
    ],
)
def test_engines_that_are_missing_or_differ_are_left_out(
    precise, openvino, left, monkeypatch, caplog
):
    monkeypatch.setattr(engine_trial, "_SECONDS", 1e-6)
    caplog.set_level(logging.INFO)
    outputs = {"torch": np.zeros((1, 1)), "openvino": np.array(openvino)}
    assert trial(outputs, precise=precise).keys() == left
    assert "engine onnxruntime is left out: onnxruntime is not installed" in caplog.text
    assert ("its answers are not those of torch" in caplog.text) == ("openvino" not in left)


def test_an_engine_that_breaks_down_is_left_out(monkeypatch):
    monkeypatch.setattr(engine_trial, "_SECONDS", 1e-6)

    def start(name):
        return (lambda images: np.zeros((1, 1))) if name == "torch" else (lambda images: 1 / 0)

    assert engine_trial.measure(ENGINES, start, films(1), at_once=1, precise=False).keys() == {
        "torch"
    }


def test_a_trial_needs_the_first_engine():
    with pytest.raises(ConfigurationError, match="torch is not installed"):
        trial({}, precise=False)


@pytest.mark.parametrize("name", [*ENGINES, "auto"])
def test_missing_weights_are_told_by_every_engine(tmp_path, name):
    with pytest.raises(RunError, match="found no such file"):
        engine(tmp_path, name=name)(films(1))


def test_networks_are_told_apart_by_more_than_their_weights():
    flips = [AugmentedInferer(flips=[name]) for name in ("left_right", "up_down", "up_down")]
    one, two, three = map(definition, flips)
    assert one != two == three
    assert definition(nn.Dropout(0.1)) != definition(nn.Dropout(0.2))
    assert definition(nn.ReLU().train()) == definition(nn.ReLU().eval())
    assert definition(nn.Linear(1, 2)) == definition(nn.Linear(1, 2))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def source(tmp_path):
    for number in range(3):
        write_png(tmp_path / "films" / f"{number}.png", seed=number)
    return tmp_path / "films"


def fingerprint_of(output):
    return json.loads((output / ".journal.jsonl").read_text("utf-8").splitlines()[0])


def test_a_run_says_which_engine_ran_and_goes_on_with_it(
    bundle, source, tmp_path, monkeypatch, caplog
):
    output = tmp_path / "out"
    summary = predict_folder(bundle, source, output, overrides={"engine_name": "openvino"})
    assert (summary["engine"], summary["predicted"]) == ("openvino", 3)
    assert fingerprint_of(output)["engine"] == "openvino on cpu"

    monkeypatch.setattr(engine_module, "measure", None)  # a trial would fail
    write_png(source / "later.png", seed=9)
    summary = predict_folder(bundle, source, output, overrides={"engine_name": "auto"})
    assert (summary["engine"], summary["from_earlier_run"]) == ("openvino", 3)
    assert summary["predicted"] == 4

    summary = predict_folder(bundle, source, output, overrides={"engine_name": "torch"})
    assert (summary["engine"], summary["from_earlier_run"]) == ("torch", 0)
    assert "beginning anew" in caplog.text


def test_one_film_from_python_with_another_engine(bundle, source):
    film = read_radiograph(source / "0.png")
    expected, *others = (
        Predictor.from_bundle(bundle, {"engine_name": name}).answer(
            Predictor.from_bundle(bundle).prepare(film)
        )
        for name in ENGINES
    )
    for found in others:
        assert found.record.probabilities == pytest.approx(expected.record.probabilities, abs=0.02)
