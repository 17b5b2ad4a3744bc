"""An exported file in the place of a bundle: unpacked into a folder of its own, and looked at.

What uses bundles goes on as it is: the folder holds the merged `inference.json`, the metadata, the
files that stood beside the weights, and the network. It lasts as long as the process.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.deploy.packages.contents import DamagedFileError, files_in, require_size
from pipelines.deploy.packages.network_files import (
    MOST_NETWORK_BYTES,
    onnx_complaints,
    openvino_complaints,
    read_onnx,
    read_openvino,
)
from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object, sha256, write_json
from pipelines.nearest import did_you_mean
from pipelines.unfinished import scratch_until_end
from pipelines.workflows.bundle import Bundle, class_names, find_bundle
from pipelines.workflows.components import TARGET
from pipelines.workflows.manifest import write_manifest
from pipelines.workflows.reading import refuse_constant
from pipelines.workflows.untrusted import check_untrusted

RT_INFO = "plainfilm"
"""Key under which OpenVINO's file holds all texts, as one JSON object."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_ENGINE = "pipelines.inference.exported.ExportedEngine"
_BUNDLE_FILE = "pipelines.workflows.bundle.bundle_file"
_MOST_SHOWN = 3
_CLASSES = 8
_INT8 = "int8"
_KEPT_OF_ENGINE = ("device", "inferer", "batch_size", "at_once")


@dataclass(frozen=True, slots=True)
class _Format:
    """How a format is taken apart.

    Attributes:
        texts: Reads what a file carries.
        network: Name of the network below `models/`.
        place: Checks the network of a file and places it in a folder.
        runner: What runs the network; None where its numbers go into PyTorch's.
    """

    texts: Callable[[Path], dict[str, str]]
    network: str
    place: Callable[[Path, Path, Mapping[str, str]], None]
    runner: str | None


def is_exported(name: str) -> bool:
    """Whether a name is that of an exported file, by its suffix."""
    return Path(name).suffix.lower() in FORMATS


def find_model(name_or_path: str) -> Bundle:
    """Find a bundle by name or path, or open an exported file.

    Args:
        name_or_path: As of `find_bundle`, or the path of a `.ts`, `.onnx` or `.xml`.

    Returns:
        The bundle; of a file, the one that it was unpacked to.

    Raises:
        ConfigurationError: If there is none, or the file is damaged or not safe.
    """
    if not is_exported(name_or_path) or Path(name_or_path).is_dir():
        return find_bundle(name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        there = path.parent.iterdir() if path.parent.is_dir() else ()
        close = did_you_mean(path.name, (each.name for each in there))
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"no exported file named {path.name!r}{close or '; check the path'}",
        )
    stamp = path.stat()
    return _opened(path.resolve(), stamp.st_mtime_ns, stamp.st_size)


def describe_file(bundle: Bundle) -> str:
    """Say in a few words what an exported file holds.

    Args:
        bundle: What it was unpacked to.
    """
    metadata = read_json_object(bundle.metadata)
    origin = read_json_object(bundle.root / "models" / "exported.json")
    classes = class_names(bundle.operating_point, metadata)
    named = ", ".join(classes[:_CLASSES]) + (", …" if len(classes) > _CLASSES else "")
    return (
        f"{bundle.name} {metadata.get('version')}, weights {origin['weights_sha256'][:12]}, "
        f"classes {named or 'not stated'}"
    )


@lru_cache(maxsize=64)
def _opened(path: Path, _changed: int, _size: int) -> Bundle:
    """Unpack a file, once as long as it stays as it is.

    Raises:
        ConfigurationError: If it is damaged or not safe.
    """
    kind = FORMATS[path.suffix.lower()]
    texts = kind.texts(path)
    about = _object(texts, "preprocessing.json")
    name = about.get("bundle")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected the name of a bundle, got {str(name)[:80]!r}"
        )
    bundle = Bundle(name, scratch_until_end().resolve() / name)
    try:
        _unpack(bundle, texts, kind, origin=_origin(path, about))
        _refuse_unsafe(bundle, path)
        kind.place(path, bundle.root / "models", texts)
    except BaseException:
        shutil.rmtree(bundle.root.parent, ignore_errors=True)
        raise
    return bundle


def _unpack(
    bundle: Bundle, texts: Mapping[str, str], kind: _Format, *, origin: Mapping[str, str]
) -> None:
    models = bundle.root / "models"
    models.mkdir(parents=True)
    for inner, content in files_in(texts).items():
        target = bundle.root / inner
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:  # such as a file where another one needs a folder
            raise DamagedFileError(
                f"carried files, {inner[:80]!r} among them", "OSError"
            ) from error
    if "operating_point.json" in texts:
        write_json(models / "operating_point.json", _object(texts, "operating_point.json"))
    write_json(bundle.metadata, _object(texts, "metadata.json"))
    write_json(models / "exported.json", origin)
    configuration = _object(texts, "inference.json")
    precision = _object(texts, "preprocessing.json").get("precision")
    write_json(bundle.inference, _configured(configuration, kind, precision))


def _object(texts: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        content = json.loads(texts[name], parse_constant=refuse_constant)
    except (KeyError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ConfigurationError(
            Reason.CORRUPT,
            f"expected {name} in the file, found none that reads; "
            "only files that `plainfilm export` wrote can take the place of a bundle",
        )
    return content


def _origin(path: Path, about: Mapping[str, object]) -> dict[str, str]:
    """What `summary.json` says of the file: the weights that it came from, as it says itself."""
    return {"weights_sha256": str(about.get("weights_sha256"))[:64], "file_sha256": sha256(path)}


def _configured(
    configuration: Mapping[str, Any], kind: _Format, precision: object
) -> dict[str, Any]:
    """Let the configuration of the bundle use the network of the file.

    Raises:
        ConfigurationError: If it describes no engine.
    """
    made = dict(configuration)
    made["weights"] = {
        TARGET: _BUNDLE_FILE,
        "bundle_root": "@bundle_root",
        "name": f"models/{kind.network}",
    }
    engine = made.get("engine")
    if not isinstance(engine, Mapping):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected an engine with its settings in inference.json of the file, got "
            f"{type(engine).__name__}; export the bundle again",
        )
    if kind.runner is not None:
        kept = {key: engine[key] for key in _KEPT_OF_ENGINE if key in engine}
        made["engine_name"] = kind.runner
        made["engine"] = {
            TARGET: _ENGINE,
            "name": "@engine_name",
            "weights": "@weights",
            **kept,
            "full_precision": precision != _INT8,
        }
    return made


def _refuse_unsafe(bundle: Bundle, path: Path) -> None:
    """Hold what was unpacked against what an untrusted bundle may hold.

    Raises:
        ConfigurationError: If anything in it could run code, fetch or write elsewhere.
    """
    write_manifest(bundle)
    problems = check_untrusted(bundle)
    if problems:
        shown = "\n".join(each.within(path.name) for each in problems[:_MOST_SHOWN])
        raise ConfigurationError(Reason.CONFIGURATION, shown)


def _torchscript_texts(path: Path) -> dict[str, str]:
    # It needs NumPy, and the check of a node that names no file shall begin at once.
    from pipelines.deploy.packages.torchscript_state import torchscript_texts

    return torchscript_texts(path)


def _place_torchscript(path: Path, models: Path, texts: Mapping[str, str]) -> None:
    from safetensors.numpy import save_file

    from pipelines.deploy.packages.torchscript_state import torchscript_state

    arrays = torchscript_state(path)
    named = json.loads(texts.get("state.json", "null"))
    if isinstance(named, list):
        arrays = {name: array for name, array in arrays.items() if name in named}
    save_file(arrays, models / FORMATS[".ts"].network)


def _onnx_texts(path: Path) -> dict[str, str]:
    model = read_onnx(path)
    require_size(sum(len(each.value) for each in model.metadata_props))
    return {each.key: each.value for each in model.metadata_props}


def _place_onnx(path: Path, models: Path, _: Mapping[str, str]) -> None:
    copied = models / "network.onnx"
    shutil.copyfile(path, copied)
    _refuse(next(onnx_complaints(read_onnx(copied)), None))


def _openvino_texts(path: Path) -> dict[str, str]:
    held = read_openvino(path).find(f"rt_info/{RT_INFO}")
    text = "{}" if held is None else held.get("value", "{}")
    require_size(len(text))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return {}
    return {str(name): each for name, each in content.items() if isinstance(each, str)}


def _place_openvino(path: Path, models: Path, _: Mapping[str, str]) -> None:
    copied, weights = models / "network.xml", models / "network.bin"
    shutil.copyfile(path, copied)
    beside = path.with_suffix(".bin")
    if beside.is_file() and beside.stat().st_size <= MOST_NETWORK_BYTES:
        shutil.copyfile(beside, weights)
    _refuse(next(openvino_complaints(read_openvino(copied), weights), None), beside.name)


def _refuse(complaint: str | None, weights: str = "") -> None:
    if complaint is not None:
        said = complaint.replace("network.bin", weights)
        raise ConfigurationError(Reason.CONFIGURATION, f"{said}; export the bundle anew")


FORMATS: Mapping[str, _Format] = {
    ".ts": _Format(_torchscript_texts, "model.safetensors", _place_torchscript, None),
    ".onnx": _Format(_onnx_texts, "network.onnx", _place_onnx, "onnxruntime"),
    ".xml": _Format(_openvino_texts, "network.xml", _place_openvino, "openvino"),
}
"""How files are taken apart, by suffix."""
