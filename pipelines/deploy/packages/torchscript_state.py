"""The numbers of a TorchScript file, taken out without running it.

TorchScript is a program: it may write files, and loading it runs what its classes say. So none of
it is loaded. Its pickle is read with a closed list of names, all of which stand for functions of
this file; what comes out are arrays by the names that they have in the network.
"""

import lzma
import pickle
import pickletools
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipelines.deploy.packages.contents import DamagedFileError, require_size

Array: TypeAlias = npt.NDArray[Any]

_MOST_BYTES = 2_000_000_000
_MOST_PICKLE_BYTES = 16_000_000
_MOST_PARTS = 1_000_000
_LONGEST_NAME = 1000
"""Bounds of what is looked at: modules may hold each other, in circles and many times over."""

_WHAT = "a TorchScript network as `plainfilm export` writes it"
_TYPES = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "DoubleStorage": np.float64,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "BoolStorage": np.bool_,
}
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_DAMAGED = (
    *(zipfile.BadZipFile, pickle.UnpicklingError, OSError, EOFError, KeyError, ValueError),
    *(TypeError, AttributeError, IndexError, RuntimeError, MemoryError, OverflowError),
    *(zlib.error, lzma.LZMAError),
)


def torchscript_texts(path: Path) -> dict[str, str]:
    """Return the texts that a TorchScript file carries.

    Args:
        path: The file.

    Returns:
        Texts by name.

    Raises:
        ConfigurationError: If its texts are too large.
        DamagedFileError: If it is no such file.
    """
    with _opened(path) as archive:
        members = [
            (each, "/".join(each.filename.split("/")[2:]))
            for each in archive.infolist()
            if each.filename.split("/")[1:2] == ["extra"]
        ]
        require_size(sum(each.file_size for each, _ in members))
        try:
            return {name: archive.read(each).decode("utf-8") for each, name in members}
        except _DAMAGED as error:
            raise DamagedFileError(_WHAT, _said(error)) from error


def torchscript_state(path: Path) -> dict[str, Array]:
    """Return parameters and buffers of the network in a TorchScript file.

    Args:
        path: The file.

    Returns:
        Arrays by name, as `state_dict` names them.

    Raises:
        ConfigurationError: If it is too large.
        DamagedFileError: If it is no such file, or its pickle names what no network needs.
    """
    with _opened(path) as archive:
        members = archive.infolist()
        if sum(each.file_size for each in members) > _MOST_BYTES:
            require_size(_MOST_BYTES)
        root = members[0].filename.partition("/")[0] if members else ""
        try:
            return _state(archive, root)
        except _DAMAGED as error:
            raise DamagedFileError(_WHAT, _said(error)) from error


def _state(archive: zipfile.ZipFile, root: str) -> dict[str, Array]:
    """Read the pickle of an archive.

    Raises:
        UnpicklingError: If it is none of a plain network.
    """
    if archive.getinfo(f"{root}/data.pkl").file_size > _MOST_PICKLE_BYTES:
        raise pickle.UnpicklingError("has a description that is too long")
    content = archive.read(f"{root}/data.pkl")
    _require_places(content)
    found = dict(_arrays(_Reader(BytesIO(content), archive, root).load()))
    if sum(each.nbytes for each in found.values()) > _MOST_BYTES:
        raise pickle.UnpicklingError("more numbers than it holds")
    return found


class _Sealed(type):
    """A class that stays as it is: a pickle may set attributes of whatever it names."""

    def __setattr__(cls, name: str, value: object) -> None:
        """Refuse.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(name)


class _Module(metaclass=_Sealed):
    """What stands for every class of the program: a bag of attributes."""


@dataclass(frozen=True, slots=True)
class _Storage:
    """Numbers of a tensor, or of several."""

    values: Array


class _Reader(pickle.Unpickler):
    """Reads the pickle of a TorchScript file, which may name a few functions of this file alone."""

    def __init__(self, content: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(content)
        self._archive = archive
        self._root = root
        self._kept: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; others are refused.

        Raises:
            UnpicklingError: If the name is none of a plain network.
        """
        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name in _TYPES:
            return name
        known: Mapping[str, Callable[..., Any]] = {
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch.jit._pickle.restore_type_tag": _first,
            "collections.OrderedDict": dict,
            **{f"torch.jit._pickle.build_{kind}list": _first for kind in _LISTS},
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"names {module}.{name}"[:80])
        return known[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the numbers that an id stands for.

        Raises:
            UnpicklingError: If it is none of a storage.
        """
        kind, name, key, _place, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError("names no storage")
        if key not in self._kept:
            content = self._archive.read(f"{self._root}/data/{key}")
            values: Array = np.frombuffer(content, dtype=_TYPES[name])
            if len(values) != count:
                raise pickle.UnpicklingError("cut short")
            self._kept[key] = _Storage(values)
        return self._kept[key]


_LISTS = ("int", "tensor", "double", "bool")


def _first(value: Any, *_: Any) -> Any:
    return value


def _tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> Array:
    values = storage.values
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min(offset, *size, *stride, 0) < 0 or prod(size) > len(values) or last >= len(values):
        raise pickle.UnpicklingError("leads out of its storage")
    bytes_each = values.itemsize
    return np.lib.stride_tricks.as_strided(
        values[offset:], tuple(size), tuple(step * bytes_each for step in stride), writeable=False
    )


def _require_places(content: bytes) -> None:
    """Refuse a pickle that numbers what it keeps beyond its own length.

    Raises:
        UnpicklingError: It does; memory would be taken for all numbers up to that one.
    """
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in _PUTS and int(argument or 0) > len(content):
            raise pickle.UnpicklingError("keeps more than it holds")


def _arrays(network: object) -> Iterator[tuple[str, Array]]:
    """Find the arrays of a module and of those below it.

    Raises:
        UnpicklingError: If there is no end to them.
    """
    waiting: list[tuple[str, object]] = [("", network)]
    seen = 0
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, np.ndarray):
            yield name, value
        elif isinstance(value, _Module):
            below = vars(value)
            seen += 1 + len(below)
            if seen > _MOST_PARTS or len(name) > _LONGEST_NAME:
                raise pickle.UnpicklingError("modules within each other without an end")
            waiting += [(f"{name}.{key}" if name else key, each) for key, each in below.items()]


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise DamagedFileError(_WHAT, _said(error)) from error


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, pickle.UnpicklingError) else type(error).__name__
