"""Imports run one way through the package, without a circle, and the command line stays light."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "pipelines"

# A part may import from its own layer and from those above it in this list.
LAYERS = (
    {
        "collector",
        "errors",
        "labels",
        "lazy_packages",
        "radiograph",
        "predictions",
        "files",
        "nearest",
        "progress",
        "refusal_text",
        "table_cells",
        "text_table",
        "told_to_end",
        "unfinished",
    },
    {"ingest"},
    {"datasets", "transforms"},
    {"networks", "training"},
    {"evaluation"},
    {"reports"},
    {"workflows"},
    {"results"},
    {"inference"},
    {"deploy"},
    {"verbs", "cli", "demo", "__main__"},
)
DEPTH = {part: depth for depth, layer in enumerate(LAYERS) for part in layer}

# Where else a library may be imported than nowhere, as beginnings of paths below the package.
ALONE = {
    "pydicom": (
        *("ingest/dicom", "results/dicom_", "datasets/phantoms/"),
        *("deploy/node/", "deploy/deidentify/"),
    ),
    "highdicom": ("results/dicom_",),
    "boto3": ("deploy/sagemaker/launch",),
    "botocore": ("deploy/sagemaker/launch",),
    "ignite": ("training/",),
    "monai.engines": ("training/",),
    "fastapi": ("deploy/web/",),
    "starlette": ("deploy/web/",),
    "python_multipart": ("deploy/web/",),
    "uvicorn": ("deploy/node/http_face",),
    "ray": ("deploy/ray_batch/",),
}


def name_of(path: Path) -> str:
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module that a file imports, at its top or later."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import hides the direction"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            inner = names & MODULES.keys()
            found |= inner
            if inner != names:
                found.add(node.module)
    return frozenset(found)


def part_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "pipelines" and len(parts) > 1 else None


def test_every_part_has_a_layer():
    parts = {part_of(name) for name in MODULES} - {None}
    assert parts <= DEPTH.keys(), f"say where it belongs: {parts - DEPTH.keys()}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_run_one_way(name):
    own = part_of(name)
    if own is None:
        return
    wrong = {
        each
        for each in imported(MODULES[name])
        if (part := part_of(each)) is not None and DEPTH[part] > DEPTH[own]
    }
    assert not wrong, f"{name} imports from a later layer: {wrong}"


def test_no_circle():
    edges = {
        name: {each for each in imported(path) if each in MODULES and each != "pipelines"}
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            for each in sorted(edges[name]):
                visit(each, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


@pytest.mark.parametrize("library", sorted(ALONE))
def test_libraries_stay_where_they_belong(library):
    wrong = [
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES.values()
        if any(each == library or each.startswith(f"{library}.") for each in imported(path))
        and not path.relative_to(PACKAGE).as_posix().startswith(ALONE[library])
    ]
    assert not wrong, f"{library} is imported in {wrong}"


@pytest.mark.parametrize(
    "code",
    [
        "import pipelines",
        "import pipelines.cli",
        "import pipelines.cli\ntry: pipelines.cli.main(['--help'])\nexcept SystemExit: pass",
        "import pipelines.cli; pipelines.cli.main(['list'])",
        "import pipelines.cli; pipelines.cli.main(['check'])",
        "import pipelines.cli; pipelines.cli.main(['trian'])",
    ],
)
def test_the_command_line_imports_nothing_heavy(code):
    heavy = ("torch", "monai", "ignite", "itk", "pydicom", "numpy")
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\n{code}\nprint('heavy', [m for m in {heavy} if m in sys.modules])",
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.splitlines()[-1] == "heavy []"
