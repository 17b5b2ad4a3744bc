"""What a bundle's metadata must say: the constraints of MONAI's schema, and of the model zoo.

They are written out here because importing a schema library takes longer than the whole check.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from pipelines.nearest import nearest
from pipelines.workflows.merging import look_up
from pipelines.workflows.reading import SEPARATOR
from pipelines.workflows.references import Complaint

Rule: TypeAlias = tuple[str, Callable[[object], bool]]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _list_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


TEXT: Rule = ("a string", _is_text)
OBJECT: Rule = ("an object", _is_object)
FLAG: Rule = ("true or false", _is_flag)
WHOLE_NUMBER: Rule = ("a whole number", _is_whole_number)
TEXTS: Rule = ("a list of strings", _list_of(_is_text))
NUMBERS: Rule = ("a list of numbers", _list_of(_is_number))
SIZES: Rule = (
    'a list of whole numbers and strings like "*" or "16*n"',
    _list_of(lambda each: _is_text(each) or _is_whole_number(each)),
)

_REQUIRED: dict[str, Rule] = {
    "schema": TEXT,
    "version": TEXT,
    "monai_version": TEXT,
    "pytorch_version": TEXT,
    "numpy_version": TEXT,
    "required_packages_version": OBJECT,
    "task": TEXT,
    "description": TEXT,
    "authors": TEXT,
    "copyright": TEXT,
    "network_data_format": OBJECT,
}
_OPTIONAL: dict[str, Rule] = {
    "name": TEXT,
    "changelog": OBJECT,
    "data_source": TEXT,
    "data_type": TEXT,
    "image_classes": TEXT,
    "label_classes": TEXT,
    "pred_classes": TEXT,
    "eval_metrics": OBJECT,
    "intended_use": TEXT,
    "references": TEXTS,
    "supported_apps": OBJECT,
}
_TENSOR_REQUIRED: dict[str, Rule] = {
    "type": TEXT,
    "format": TEXT,
    "num_channels": WHOLE_NUMBER,
    "spatial_shape": SIZES,
    "dtype": TEXT,
    "value_range": NUMBERS,
}
_TENSOR_OPTIONAL: dict[str, Rule] = {
    "modality": TEXT,
    "is_patch_data": FLAG,
    "channel_def": OBJECT,
}
_FORMAT_NAME = re.compile(r"[_a-zA-Z0-9]+_data_format")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
# MONAI's shape check looks for exactly these two.
_CHECKED_TENSORS = ("inputs::image", "outputs::pred")


def check_metadata(metadata: Mapping[str, object]) -> Iterator[Complaint]:
    """Find what MONAI's schema, its shape check or the model zoo would refuse.

    Args:
        metadata: Content of `metadata.json`.
    """
    yield from _check_fields("", metadata, _REQUIRED, _OPTIONAL)
    yield from _check_version(metadata)
    for name, value in metadata.items():
        if _FORMAT_NAME.fullmatch(name):
            yield from _check_format(name, value if isinstance(value, Mapping) else {})


def _check_fields(
    place: str, value: Mapping[str, object], required: dict[str, Rule], optional: dict[str, Rule]
) -> Iterator[Complaint]:
    prefix = f"{place}{SEPARATOR}" if place else ""
    unknown = [name for name in value if name not in required and name not in optional]
    for name in required:
        if name not in value:
            close = nearest(name, unknown)
            hint = f"; '{close}' may be a misspelling of it" if close else ""
            where = f"{prefix}{close}" if close else place
            yield Complaint(where, f"the required field '{name}' is missing{hint}")
    for name, (expected, fits) in {**required, **optional}.items():
        if name in value and not fits(value[name]):
            found = type(value[name]).__name__
            yield Complaint(f"{prefix}{name}", f"expected {expected}, got {found}")


def _check_version(metadata: Mapping[str, object]) -> Iterator[Complaint]:
    version, changelog = metadata.get("version"), metadata.get("changelog")
    if not isinstance(version, str):
        return
    if not _VERSION.fullmatch(version):
        yield Complaint("version", f"expected three numbers like 1.0.2, got '{version}'")
    elif not isinstance(changelog, Mapping) or version not in changelog:
        yield Complaint("changelog", f"version {version} has no entry; say what changed")


def _check_format(name: str, value: Mapping[str, object]) -> Iterator[Complaint]:
    yield from _check_fields(
        name, value, {"inputs": OBJECT, "outputs": OBJECT}, {"post_processed_outputs": OBJECT}
    )
    for part in ("inputs", "outputs", "post_processed_outputs"):
        tensors = value.get(part)
        for tensor, said in tensors.items() if isinstance(tensors, Mapping) else ():
            place = f"{name}{SEPARATOR}{part}{SEPARATOR}{tensor}"
            if isinstance(said, Mapping):
                yield from _check_fields(place, said, _TENSOR_REQUIRED, _TENSOR_OPTIONAL)
            elif not isinstance(said, str | int | float):
                message = (
                    f"expected a tensor, number, string or true/false, got {type(said).__name__}"
                )
                yield Complaint(place, message)
    if name == "network_data_format":
        for each in _CHECKED_TENSORS:
            part, _, tensor = each.partition(SEPARATOR)
            if isinstance(value.get(part), Mapping) and look_up(value, each) is None:
                yield Complaint(
                    f"{name}{SEPARATOR}{part}", f"MONAI checks the tensor '{tensor}' here"
                )
