"""Whether a bundle of somebody else is safe to use: looked at, with nothing of it run or imported.

MONAI runs what a configuration says: any `_target_`, any `$`, any `args` of a `logging.conf`.
So everything is held against closed lists, and what they do not name is refused.
"""

import configparser
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from pipelines.workflows.allowed import (
    ALLOWED_MODES,
    ALLOWED_TARGETS,
    FETCHING_ARGUMENTS,
    OUTPUT_REFERENCES,
    WRITING_ARGUMENTS,
    is_training_expression,
)
from pipelines.workflows.bundle import SUFFIXES, Bundle
from pipelines.workflows.components import TARGET
from pipelines.workflows.manifest import (
    MANIFEST,
    RENEW,
    listable,
    manifest_problems,
    read_manifest,
)
from pipelines.workflows.merging import walk
from pipelines.workflows.problem import Problem
from pipelines.workflows.reading import SEPARATOR, normal_id, read_document
from pipelines.workflows.weight_files import weights_complaint

_WEIGHTS = (".pt", ".npz", ".safetensors")
_HARMLESS = (".json", ".yaml", ".yml", ".conf", ".md", ".txt", ".csv", ".png", ".jpg", ".jpeg")
_WITHOUT_SUFFIX = ("LICENSE", "NOTICE", ".gitignore", ".gitattributes")
_CODE = {".ts": "TorchScript", ".pkl": "a pickle", ".onnx": "an exported network"}
_MOST_CONFIG_BYTES = 4_000_000
_DATA = "metadata of other files"
"""Stands for the name of a file that is no configuration, and could be named as an overlay."""

_LEADS_OUT = re.compile(r"[/~\\]|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]*://")
_LOGGING = {
    "loggers": ("keys",),
    "handlers": ("keys",),
    "formatters": ("keys",),
    "logger": ("level", "handlers", "qualname", "propagate"),
    "handler": ("class", "level", "formatter", "args"),
    "formatter": ("format", "datefmt"),
}
"""Options of the sections of a `logging.conf`, by the first part of their names."""

_EVALUATED = {
    "class": {"StreamHandler", "logging.StreamHandler"},
    "args": {"()", "(sys.stdout,)", "(sys.stderr,)"},
}
"""Options that Python evaluates as code, and the values that they may have."""


def check_untrusted(bundle: Bundle) -> list[Problem]:
    """Look for whatever could run code, fetch or write outside, in all files of a bundle.

    Args:
        bundle: A bundle of unknown origin.

    Returns:
        All problems, by file; empty when using the bundle runs plainfilm's own code alone.
    """
    found: list[Problem] = []
    locked: list[OSError] = []
    for path in _entries(bundle.root, locked):
        name = path.relative_to(bundle.root).as_posix()
        complaint = _about_entry(path, name)
        if complaint:
            found.append(Problem(name, "", complaint))
        elif path.is_file():
            found += _about_content(path, name)
    if locked:
        message = "expected folders that can be listed, got a locked one; check who may read it"
        found.append(Problem("", "", message))
    return [*found, *_about_manifest(bundle)]


def _entries(root: Path, locked: list[OSError]) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, followlinks=False, onerror=locked.append):
        folders.sort()
        yield from (Path(folder) / name for name in sorted([*folders, *files]))


def _about_entry(path: Path, name: str) -> str | None:
    """Say why a file or folder may not be there at all."""
    if path.is_symlink():
        return "expected files and folders alone, got a link"
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return "expected files and folders alone, got something else"
    suffix = path.suffix.lower()
    if suffix in _WEIGHTS or suffix in _HARMLESS:
        return None
    if path.name in _WITHOUT_SUFFIX:
        return None
    kind = _CODE.get(suffix, f"'{suffix}'" if suffix else "a file without a suffix")
    return f"expected configurations, weights and text alone, got {kind}, which may be code"


def _about_content(path: Path, name: str) -> Iterator[Problem]:
    suffix = path.suffix.lower()
    if suffix in _WEIGHTS:
        complaint = weights_complaint(path)
        if complaint:
            yield Problem(name, "", complaint)
    elif suffix == ".conf":
        yield from _about_logging(path, name)
    elif suffix in SUFFIXES:
        yield from _about_config(path, name)


def _about_config(path: Path, name: str) -> Iterator[Problem]:
    if path.stat().st_size > _MOST_CONFIG_BYTES:
        yield Problem(name, "", f"expected at most {_MOST_CONFIG_BYTES} bytes, got more")
        return
    if path.suffix.lower() != ".json" and _has_aliases(path):
        yield Problem(name, "", "expected YAML without aliases, got some; they can make it endless")
        return
    document = read_document(path, name)
    is_config = name.startswith("configs/")
    # What is not read here, MONAI may read: it takes NaN, and nests deeper.
    yield from document.problems if is_config or not document.content else ()
    for place, value in walk(document.content):
        for message in _about_value(place, value, path.stem if is_config else _DATA):
            yield Problem(name, place, message, document.line_of(place))


def _has_aliases(path: Path) -> bool:
    """Whether a YAML file uses a part of itself again; one that cannot be scanned has none."""
    import yaml

    try:
        with path.open(encoding="utf-8") as content:
            return any(isinstance(token, yaml.AliasToken) for token in yaml.scan(content))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False


def _about_value(place: str, value: object, stem: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _about_text(place, value, stem)
    last = normal_id(place).rpartition(SEPARATOR)[2]
    if last == TARGET and (not isinstance(value, str) or value not in ALLOWED_TARGETS):
        yield (
            f"the target {str(value)[:80]!r} is not on the list of what an untrusted bundle may "
            "name (pipelines/workflows/allowed.py)"
        )
    elif last == "_mode_" and value not in ALLOWED_MODES:
        yield f"expected _mode_ {' or '.join(ALLOWED_MODES)}, got another"
    elif last in FETCHING_ARGUMENTS and value is not None and value is not False:
        yield f"expected {last}: false, got a value that may fetch weights from elsewhere"
    elif last in WRITING_ARGUMENTS and place != "output_dir" and _writes_elsewhere(value):
        yield f"expected {last} in @output_dir, got {str(value)[:80]!r}"


def _writes_elsewhere(value: object) -> bool:
    """Whether an argument that is written to is anything but the output folder, or in it."""
    if not isinstance(value, str):
        return False
    return value not in OUTPUT_REFERENCES and not value.startswith("$@output_dir + '/")


def _about_text(place: str, text: str, stem: str) -> Iterator[str]:
    if text.startswith("$"):
        if stem.startswith(("inference", "metadata", _DATA)):
            yield "expected no $ expression in what is used for inference, got one"
        elif not is_training_expression(text):
            yield (
                "expected one of the few $ expressions of training "
                "(pipelines/workflows/allowed.py), got another"
            )
    elif text.startswith("%"):
        yield "expected no % macro, got one; it may read any file"
    elif stem not in {"metadata", _DATA} and not place.endswith("_desc_") and _leads_out(text):
        yield f"expected a name inside the bundle's folder, got {text[:80]!r}, which leads out"


def _leads_out(text: str) -> bool:
    """Whether a string would be an absolute path, an address, or a path with `..` in it."""
    parts = re.split(r"[/\\]", text)
    return _LEADS_OUT.match(text) is not None or (len(parts) > 1 and ".." in parts) or text == ".."


def _about_logging(path: Path, name: str) -> Iterator[Problem]:
    """Find what `logging.config.fileConfig` would evaluate, open or import."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        yield Problem(name, "", "expected a configuration of logging that can be read")
        return
    for section in parser.sections():
        known = _LOGGING.get(section) or _LOGGING.get(section.partition("_")[0], ())
        for option, value in parser.items(section):
            if option not in known:
                yield Problem(name, section, f"the option '{option}' is not allowed here")
            elif value.strip() not in _EVALUATED.get(option, {value.strip()}):
                allowed = ", ".join(sorted(_EVALUATED[option]))
                message = f"expected {option} of {allowed}; got another, which may run code"
                yield Problem(name, section, message)


def _about_manifest(bundle: Bundle) -> Iterator[Problem]:
    if not (bundle.root / MANIFEST).is_file():
        yield Problem(MANIFEST, "", f"the file is missing; its owner writes it with `{RENEW}`")
        return
    yield from manifest_problems(bundle)
    listed = read_manifest(bundle) or {}
    for name in sorted(listable(bundle.root)):
        if listed and name not in listed:
            yield Problem(name, "", f"expected every file in {MANIFEST}, this one is not")
