"""Files of weights looked at without loading them: whether anything in them would run code.

A `.pt` is a zip file around a pickle; a pickle is a program. It is read here opcode by opcode, by
the standard library's disassembler, which executes none.
"""

import ast
import json
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_MOST_PICKLE_BYTES = 64_000_000
_MOST_INFLATED_BYTES = 2_000_000_000
_MOST_HEADER_BYTES = 65_536
_STORAGES = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
_GLOBALS = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        *(f"torch {name}Storage" for name in _STORAGES.split()),
    }
)
"""What a pickle of a state dict names; torch's loader for weights alone takes these as well."""

_OTHER_WAYS = frozenset({"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"}) | {
    f"EXT{size}" for size in (1, 2, 4)
}
"""Opcodes that name a callable in another way than GLOBAL, which is the one that torch writes."""

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, RuntimeError),
    *(
        SyntaxError,
        LookupError,
        TypeError,
        MemoryError,
    ),  # of a header that is not what NumPy writes
)


def weights_complaint(path: Path) -> str | None:
    """Say why a file of weights is not plain numbers; None when it is.

    Args:
        path: A `.pt`, `.npz` or `.safetensors` file, in letters of either case.
    """
    looks = {".pt": _of_state_dict, ".npz": _of_arrays, ".safetensors": _of_safetensors}
    try:
        return next(looks[path.suffix.lower()](path), None)
    except _DAMAGED as error:
        return f"expected a whole file of weights, got one that cannot be read ({_kind(error)})"


def _kind(error: Exception) -> str:
    return type(error).__name__


def _of_state_dict(path: Path) -> Iterator[str]:
    if not zipfile.is_zipfile(path):
        yield (
            "expected a state dict as torch.save writes it, got another kind of file, "
            "such as a bare pickle"
        )
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        yield from _bad_names(members)
        if any(each.compress_type != zipfile.ZIP_STORED for each in members):
            yield "expected members as torch.save writes them, got compressed ones"
        inner = [PurePosixPath(each.filename).parts[1:] for each in members]
        if any(parts[:1] in {("code",), ("constants.pkl",)} for parts in inner):
            yield "expected a state dict, got TorchScript, which is code"
        pickles = [each for each in members if each.filename.endswith(".pkl")]
        if [PurePosixPath(each.filename).name for each in pickles] != ["data.pkl"]:
            yield f"expected one data.pkl, got {len(pickles)} pickles"
            return
        yield from _of_pickle(archive, pickles[0])


def _of_pickle(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[str]:
    if member.file_size > _MOST_PICKLE_BYTES:
        yield f"expected a pickle of at most {_MOST_PICKLE_BYTES} bytes, got {member.file_size}"
        return
    for opcode, argument, _ in pickletools.genops(archive.read(member)):
        if opcode.name in _OTHER_WAYS:
            yield f"expected a pickle of tensors alone, got one with {opcode.name}"
        elif opcode.name == "GLOBAL" and argument not in _GLOBALS:
            named = str(argument).replace(" ", ".")
            yield f"expected a pickle of tensors alone, got one that names {named[:80]!r}"


def _of_arrays(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        yield from _bad_names(members)
        if sum(each.file_size for each in members) > _MOST_INFLATED_BYTES:
            yield f"expected at most {_MOST_INFLATED_BYTES} bytes of arrays, got more"
            return
        for member in members:
            with archive.open(member) as content:
                start = content.read(_MOST_HEADER_BYTES)
            if not _is_plain_array(start):
                yield "expected arrays of numbers and text alone, got an array of Python objects"


def _is_plain_array(start: bytes) -> bool:
    """Whether this is the beginning of a `.npy` whose elements are no Python objects."""
    if start[:6] != b"\x93NUMPY":
        return False
    width = 2 if start[6] == 1 else 4
    body = 8 + width
    length = int.from_bytes(start[8:body], "little")
    header = ast.literal_eval(start[body : body + length].decode("latin-1").strip())
    return "O" not in str(header["descr"])


def _of_safetensors(path: Path) -> Iterator[str]:
    with path.open("rb") as content:
        length = int.from_bytes(content.read(8), "little")
        header = content.read(length) if length < _MOST_PICKLE_BYTES else b""
    if len(header) != length or not isinstance(json.loads(header or b"null"), dict):
        yield "expected a safetensors file, got another content"


def _bad_names(members: list[zipfile.ZipInfo]) -> Iterator[str]:
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename:
            yield "expected names inside the archive, got one that leads out of it"
