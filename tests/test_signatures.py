"""Arguments read from source are those that Python sees after importing."""

import importlib
import inspect
import subprocess
import sys

import pytest

from pipelines.workflows.components import component_signature
from pipelines.workflows.signatures import Signature, signature_of
from pipelines.workflows.sources import Definition, Missing, Sources, monai_components

PLAIN = [
    "monai.engines.SupervisedTrainer",
    "monai.engines.SupervisedEvaluator",
    "monai.handlers.CheckpointSaver",
    "monai.handlers.EarlyStopHandler",
    "monai.handlers.LrScheduleHandler",
    "monai.handlers.StatsHandler",
    "monai.handlers.TensorBoardStatsHandler",
    "monai.handlers.ValidationHandler",
    "monai.inferers.SimpleInferer",
    "monai.inferers.SlidingWindowInferer",
    "monai.losses.DiceFocalLoss",
    "monai.networks.nets.EfficientNetBN",
    "monai.networks.nets.UNet",
    "monai.data.CacheDataset",
    "monai.transforms.Compose",
    "monai.transforms.RandAffined",
    "torch.nn.BCEWithLogitsLoss",
    "torch.optim.AdamW",
    "torch.optim.lr_scheduler.OneCycleLR",
    "torch.utils.data.DataLoader",
    "torch.cuda.is_available",
    "pipelines.workflows.bundle.bundle_root",
    "pipelines.workflows.bundle.Bundle",
    "pipelines.predictions.Classification",
]


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources()


@pytest.mark.parametrize("dotted", PLAIN)
def test_same_as_inspect(sources, dotted):
    module, _, name = dotted.rpartition(".")
    expected = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    plain = [
        each
        for each in expected.values()
        if each.kind not in {each.VAR_KEYWORD, each.VAR_POSITIONAL}
    ]
    found = component_signature(dotted, sources)
    assert isinstance(found, Signature)
    assert list(found.names) == [each.name for each in plain]
    assert found.required == {each.name for each in plain if each.default is each.empty}


def test_arguments_handed_on_to_a_base_class(sources):
    network = component_signature("monai.networks.nets.DenseNet121", sources)
    assert {"spatial_dims", "in_channels", "out_channels"} == network.required
    assert {"dropout_prob", "growth_rate", "pretrained"} <= {*network.names}
    assert not network.is_open
    loader = component_signature("monai.data.DataLoader", sources)
    assert {"batch_size", "shuffle", "collate_fn", "persistent_workers"} <= {*loader.names}
    assert loader.required == {"dataset"}
    assert not loader.is_open


@pytest.mark.parametrize(
    "dotted",
    [
        "torch.device",
        "torch.bfloat16",
        "numpy.zeros",
        "builtins.print",
        "print",
        "$@x.y",
        "@x",
        "math.sin",
    ],
)
def test_what_has_no_source_takes_anything(sources, dotted):
    assert component_signature(dotted, sources).is_open


@pytest.mark.parametrize(
    ("dotted", "said"),
    [
        ("monai.networks.nets.DenseNte121", "did you mean 'DenseNet121'?"),
        ("monai.netwroks.nets.DenseNet121", "did you mean 'networks'?"),
        ("torch.optm.AdamW", "did you mean 'optim'?"),
        ("pipelins.labels.X", "did you mean 'pipelines'?"),
        ("pipelines.workflows.bundle.bundel_root", "did you mean 'bundle_root'?"),
        ("pipelines.workflows.bundle.find_bundle.x", "the function find_bundle has no 'x'"),
        ("no_such_package.thing", "no package 'no_such_package' is installed"),
        ("DenseNte121", "did you mean 'DenseNet121'?"),
        ("monai.networks", "expected a class or function, got the module"),
    ],
)
def test_misspelt_names(sources, dotted, said):
    found = component_signature(dotted, sources)
    assert isinstance(found, Missing)
    assert said in found.message


def test_bare_names_are_those_of_monai():
    components = monai_components()
    for name in ("DenseNet121", "LoadImaged", "LoadImageD", "ValidationHandler"):
        assert components[name].startswith("monai.")


CODE = """
from dataclasses import dataclass, field
from typing import ClassVar

from .other import *
from . import other as renamed

@dataclass
class Point:
    x: int
    y: int = 0
    kind: ClassVar[str] = "p"
    cache: dict = field(default_factory=dict)
    hidden: int = field(init=False)

@dataclass
class Point3(Point):
    z: int = 0

class Holder:
    @classmethod
    def build(cls, a, *, b=1): ...
    @staticmethod
    def make(a): ...

class Popping(renamed.Base):
    def __init__(self, own, **kwargs):
        kwargs["given"] = kwargs.pop("popped", 1)
        super().__init__(**kwargs)

class Scattering(renamed.Base):
    def __init__(self, **kwargs):
        print(kwargs)
        super().__init__(**kwargs)

class Nothing: ...

def __dir__(): ...

alias = Point
"""
OTHER = """
class Base:
    def __init__(self, given, needed, optional=1): ...

if True:
    def guarded(a): ...

try:
    from surely_not_installed import thing
except ImportError:
    thing = None
"""


@pytest.fixture
def made_up(tmp_path, monkeypatch) -> Sources:
    package = tmp_path / "made_up_package"
    package.mkdir()
    (package / "__init__.py").write_text(CODE)
    (package / "other.py").write_text(OTHER)
    (package / "broken.py").write_text("def (")
    (package / "circle_a.py").write_text("from .circle_b import *\nfrom .circle_b import lost")
    (package / "circle_b.py").write_text("from .circle_a import *\nfrom .circle_a import lost")
    monkeypatch.syspath_prepend(tmp_path)
    return Sources()


@pytest.mark.parametrize(
    ("name", "names", "required"),
    [
        ("Point", ["x", "y", "cache"], {"x"}),
        ("Point3", ["x", "y", "cache", "z"], {"x"}),
        ("alias", ["x", "y", "cache"], {"x"}),
        ("Holder.build", ["a", "b"], {"a"}),
        ("Holder.make", ["a"], {"a"}),
        ("Popping", ["own", "given", "needed", "optional", "popped"], {"own", "needed"}),
        ("Nothing", [], set()),
        ("guarded", ["a"], {"a"}),
        ("other.Base", ["given", "needed", "optional"], {"given", "needed"}),
        ("renamed.Base", ["given", "needed", "optional"], {"given", "needed"}),
    ],
)
def test_forms_of_definitions(made_up, name, names, required):
    found = made_up.find(f"made_up_package.{name}")
    assert isinstance(found, Definition)
    signature = signature_of(found, made_up)
    assert list(signature.names) == names
    assert signature.required == required
    assert not signature.is_open


@pytest.mark.parametrize("name", ["Scattering", "thing", "broken.anything", "circle_a.lost"])
def test_what_cannot_be_known_takes_anything(made_up, name):
    assert component_signature(f"made_up_package.{name}", made_up).is_open


def test_nothing_is_imported():
    code = (
        "import sys\n"
        "from pipelines.workflows.components import component_signature\n"
        "from pipelines.workflows.sources import Sources\n"
        "component_signature('monai.networks.nets.DenseNet121', Sources())\n"
        "component_signature('DenseNet121', Sources())\n"
        "print('monai' in sys.modules, 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "False"]
