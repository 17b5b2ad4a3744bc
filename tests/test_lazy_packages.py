import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines import lazy_packages
from pipelines.lazy_packages import LazyFinder, import_lazily

CHECKOUT = Path(__file__).resolve().parents[1]
# What MONAI loads, or what ours need later, and a prediction does not. MONAI's data package takes
# pandas wherever it is there, which the default installation has not.
HEAVY = (
    *("scipy.special", "scipy.ndimage", "scipy.stats", "scipy.optimize", "sklearn", "skimage"),
    *("itk", "matplotlib", "transformers", "tensorboard", "torch.utils.tensorboard"),
    *("huggingface_hub", "highdicom", "sympy", "torch._dynamo", "imagecodecs", "mlflow"),
    *("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"),
    *("monai.apps.datasets", "monai.engines", "monai.handlers", "monai.inferers.inferer"),
    *("ignite.handlers", "ignite.metrics.ssim", "pipelines.training.trainer"),
)
PREDICT = f"""
import sys
from pathlib import Path
from pipelines.inference import batch
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.workflows.bundle import find_bundle
others = "hand_bone_segmentation", "pneumonia_efficientnet_b0", "skin_lesion_classification"
for name in others:
    InferenceConfiguration(find_bundle(name), {{}}).build("evaluator")
infer = batch.FilmStream._infer
def first(*given):
    answers = infer(*given)
    print("loaded", [each for each in {HEAVY} if each in sys.modules])
    return answers
batch.FilmStream._infer = first
bundle = find_bundle("pneumonia_classification")
print(batch.predict_folder(bundle, Path("film.png"), Path("out"), overrides={{}})["predicted"])
"""
WHOLE = """
import json, pkgutil, sys
from pipelines.inference.predictor import Predictor
import monai
before = len(sys.modules)
import monai.networks.nets
assert monai.networks.nets.UNet.__module__ == "monai.networks.nets.unet"
assert monai.apps.download_url and monai.handlers.StatsHandler and monai.apps.detection
import monai.transforms
namespace = {}
exec("from monai.transforms import *", namespace)
from monai.bundle import ConfigParser
network = {"_target_": "AutoEncoder", "spatial_dims": 2, "in_channels": 1, "out_channels": 1,
           "channels": [2], "strides": [2]}
parser = ConfigParser({"network": network, "name": "$monai.losses.DiceLoss.__name__"})
by_name = type(parser.get_parsed_content("network")).__module__
lost = []
for package in [each for each in sys.modules.values() if hasattr(each, "__path__")]:
    if package.__name__.partition(".")[0] in {"monai", "ignite"}:
        lost += [f"{package.__name__}.{n}" for n in dir(package) if not hasattr(package, n)]
print(json.dumps({"by name": by_name, "expression": parser.get_parsed_content("name"),
                  "star": "RandBiasFieldd" in namespace, "lost": lost,
                  "handlers": monai.handlers.StatsHandler.__module__}))
"""


def python(code, cwd):
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    said = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert said.returncode == 0, said.stderr
    return said.stdout.splitlines()


def test_a_prediction_loads_nothing_heavy_before_its_first_film(tmp_path):
    ramp = np.tile(np.linspace(20, 220, 96, dtype=np.uint8), (80, 1))
    Image.fromarray(ramp).save(tmp_path / "film.png")
    loaded, predicted = python(PREDICT, tmp_path)[-2:]
    assert (loaded, predicted) == ("loaded []", "1")


def test_monai_is_whole_for_whoever_uses_it_after_a_prediction(tmp_path):
    found = json.loads(python(WHOLE, tmp_path)[-1])
    assert found == {
        "by name": "monai.networks.nets.autoencoder",
        "expression": "DiceLoss",
        "star": True,
        "lost": [],
        "handlers": "monai.handlers.stats_handler",
    }


INIT = """
'''A package.'''
from __future__ import annotations

import made_up_package.deep
from .simple import one, two as second
from made_up_package.other import three
from .same import same
from .used import used
from json import dumps

FOUR = used + 1


def text() -> str:
    return dumps(FOUR)
"""
MODULES = {
    "simple": "one, two = 1, 2",
    "other": "three = 3",
    "same": "def same(): return 'the function'",
    "used": "used = 3",
    "deep": "place = 'deep'",
    "last": "import made_up_package\nassert made_up_package.second == 2",
}


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    folder = tmp_path / "made_up_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    for name, content in MODULES.items():
        (folder / f"{name}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [LazyFinder(["made_up_package"]), *sys.meta_path])
    yield importlib.import_module("made_up_package")
    for name in [each for each in sys.modules if each.startswith("made_up_package")]:
        del sys.modules[name]


def loaded():
    return {each.partition(".")[2] for each in sys.modules if each.startswith("made_up_package.")}


def test_names_that_are_only_handed_on_wait(made_up):
    assert loaded() == {"same", "used"}
    assert (made_up.one, made_up.second, made_up.three) == (1, 2, 3)
    assert loaded() == {"same", "used", "simple", "other"}
    assert vars(made_up)["one"] == 1, "the next look finds it without a search"


def test_modules_below_are_found(made_up):
    assert made_up.deep.place == "deep"
    assert importlib.import_module("made_up_package.last")


def test_a_name_like_that_of_its_module_is_what_the_package_says(made_up):
    assert importlib.import_module("made_up_package.same")
    assert made_up.same() == "the function"


def test_the_rest_of_the_package_runs_as_it_is(made_up):
    assert made_up.text() == "4"
    assert made_up.__doc__ == "A package."


def test_everything_is_listed_and_a_star_takes_it(made_up):
    assert {"one", "second", "three", "same", "FOUR", "text"} <= {*dir(made_up)}
    namespace = {}
    exec("from made_up_package import *", namespace)
    assert (namespace["second"], namespace["FOUR"]) == (2, 4)


def test_what_is_not_there_is_missed_as_ever(made_up):
    with pytest.raises(AttributeError, match=r"made_up_package.*no attribute 'five'"):
        _ = made_up.five
    with pytest.raises(ImportError, match="five"):
        exec("from made_up_package import five", {})


@pytest.fixture
def without_finder(monkeypatch):
    plain = [each for each in sys.meta_path if not isinstance(each, LazyFinder)]
    monkeypatch.setattr(sys, "meta_path", plain)


@pytest.mark.usefixtures("without_finder")
def test_another_version_is_imported_as_it_is(monkeypatch):
    monkeypatch.delitem(sys.modules, "monai", raising=False)
    monkeypatch.setitem(lazy_packages.TESTED, "monai", ("monai", "1.5.0"))
    assert not import_lazily()
    monkeypatch.setitem(lazy_packages.TESTED, "monai", ("a distribution that is not there", "1"))
    assert not import_lazily()
    assert not any(isinstance(each, LazyFinder) for each in sys.meta_path)


@pytest.mark.usefixtures("without_finder")
def test_what_is_imported_stays_as_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai", sys)  # as `python -m monai.bundle run` has it
    assert not import_lazily()
    assert not any(isinstance(each, LazyFinder) for each in sys.meta_path)
