"""Headers of MetaImage and NRRD files: text of `key = value` or `key: value` lines before the data.

They are parsed here and not by ITK, which passes over data that end early and fills the rest of the
image with memory of whatever was read before.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from pipelines.errors import InputError, Reason

MAX_HEADER_BYTES = 65_536

_META_TYPES = {
    "MET_UCHAR": "u1",
    "MET_CHAR": "i1",
    "MET_USHORT": "u2",
    "MET_SHORT": "i2",
    "MET_UINT": "u4",
    "MET_INT": "i4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_NRRD_TYPES = {
    "signed char": "i1", "int8": "i1", "int8_t": "i1",
    "uchar": "u1", "unsigned char": "u1", "uint8": "u1", "uint8_t": "u1",
    "short": "i2", "short int": "i2", "signed short": "i2", "int16": "i2", "int16_t": "i2",
    "ushort": "u2", "unsigned short": "u2", "unsigned short int": "u2", "uint16": "u2",
    "uint16_t": "u2",
    "int": "i4", "signed int": "i4", "int32": "i4", "int32_t": "i4",
    "uint": "u4", "unsigned int": "u4", "uint32": "u4", "uint32_t": "u4",
    "float": "f4", "double": "f8",
}  # fmt: skip
_NRRD_COLOUR_KINDS = frozenset({"vector", "list", "3-color", "rgb-color", "3-vector"})


@dataclass(frozen=True, slots=True)
class VolumeHeader:
    """What has to be known to take an image out of its file.

    Attributes:
        shape: Sizes of all axes, the fastest first, without channels.
        spacing: Spacing along each axis in mm; empty where the header has none.
        channels: Samples of one pixel, which lie together.
        dtype: Sample type with its byte order.
        is_compressed: Whether the data are a zlib or gzip stream.
        data_file: Name of another file that holds the data; empty if they follow the header.
        offset: Where the data start in their file; -1 if they fill its end.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    channels: int
    dtype: np.dtype[np.generic]
    is_compressed: bool
    data_file: str
    offset: int


def parse_metaimage(head: bytes) -> VolumeHeader:
    """Parse the header of an MHA or MHD file.

    The header is refused as CORRUPT if it has no end; as MISSING_ATTRIBUTE, INVALID_ATTRIBUTE or
    UNSUPPORTED_FORMAT for what it says.

    Args:
        head: The first `MAX_HEADER_BYTES` of the file.

    Returns:
        The header.
    """
    end = re.search(rb"^ElementDataFile *= *([^\r\n]*)\r?\n?", head, re.MULTILINE)
    if end is None:
        _refuse_endless("ElementDataFile")
    fields = _fields(head[: end.start()], separator="=")
    if fields.get("BinaryData", "True").lower() == "false":
        _refuse_unsupported("BinaryData", "True", "False")
    data_file = end[1].decode("utf-8", "replace").strip()
    is_local = data_file.upper() == "LOCAL"
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False"))
    return VolumeHeader(
        shape=_integers(fields, "DimSize"),
        spacing=_spacing(fields.get("ElementSpacing", fields.get("ElementSize", ""))),
        channels=_integers({"ElementNumberOfChannels": "1"} | fields, "ElementNumberOfChannels")[0],
        dtype=_dtype(fields, "ElementType", types=_META_TYPES, is_big=big.lower() == "true"),
        is_compressed=fields.get("CompressedData", "False").lower() == "true",
        data_file="" if is_local else data_file,
        offset=end.end() if is_local else _offset(fields, "HeaderSize"),
    )


def parse_nrrd(head: bytes) -> VolumeHeader:
    """Parse the header of an NRRD or NHDR file.

    The header is refused as by `parse_metaimage`.

    Args:
        head: The first `MAX_HEADER_BYTES` of the file.

    Returns:
        The header.
    """
    end = re.search(rb"\r?\n\r?\n", head)
    header = head if end is None else head[: end.start()]
    fields = {key.lower(): value for key, value in _fields(header, separator=":").items()}
    data_file = fields.get("data file", fields.get("datafile", ""))
    if end is None and not data_file:
        _refuse_endless("an empty line")
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in {"raw", "gzip", "gz"} or "line skip" in fields:
        _refuse_unsupported("encoding", "raw or gzip without line skip", encoding)
    sizes = _integers(fields, "sizes")
    spacing = _nrrd_spacing(fields)
    has_channels = fields.get("kinds", "").lower().split(" ")[0] in _NRRD_COLOUR_KINDS
    skip = _offset(fields, "byte skip")
    is_big = fields.get("endian", "little").lower() == "big"
    return VolumeHeader(
        shape=sizes[1:] if has_channels else sizes,
        spacing=spacing[-len(sizes) + 1 :] if has_channels else spacing,
        channels=sizes[0] if has_channels else 1,
        dtype=_dtype(fields, "type", types=_NRRD_TYPES, is_big=is_big),
        is_compressed=encoding != "raw",
        data_file=data_file,
        offset=skip + (end.end() if end and not data_file else 0) if skip >= 0 else -1,
    )


def _fields(header: bytes, *, separator: str) -> dict[str, str]:
    lines = header.decode("latin-1").splitlines()
    pairs = (line.partition(separator) for line in lines if not line.startswith("#"))
    return {key.strip(): value.strip() for key, found, value in pairs if found}


def _integers(fields: Mapping[str, str], key: str) -> tuple[int, ...]:
    if key not in fields:
        raise InputError(
            Reason.MISSING_ATTRIBUTE, f"expected the header field {key}, got none; export again"
        )
    values = fields[key].split()
    if not values or not all(value.isdecimal() and int(value) > 0 for value in values):
        raise InputError(
            Reason.INVALID_ATTRIBUTE,
            f"expected positive integers as {key}, got something else; export again",
        )
    return tuple(int(value) for value in values)


def _offset(fields: Mapping[str, str], key: str) -> int:
    # Bytes to skip; -1 says that the data fill the end of the file.
    value = fields.get(key, "0")
    if re.fullmatch(r"-1|\d{1,9}", value) is None:
        raise InputError(
            Reason.INVALID_ATTRIBUTE,
            f"expected bytes to skip, or -1, as {key}, got something else; export again",
        )
    return int(value)


def _dtype(
    fields: Mapping[str, str], key: str, *, types: Mapping[str, str], is_big: bool
) -> np.dtype[np.generic]:
    code = types.get(fields.get(key, ""))
    if code is None:
        _refuse_unsupported(key, f"one of {', '.join(types)}", fields.get(key, "none")[:40])
    return np.dtype((">" if is_big else "<") + code)


def _spacing(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in text.split())
    except ValueError:
        return ()


def _nrrd_spacing(fields: Mapping[str, str]) -> tuple[float, ...]:
    """Return the spacings, or the lengths of the space directions, one for each axis."""
    if "space directions" not in fields:
        return _spacing(fields.get("spacings", ""))
    vectors = re.findall(r"\(([^)]*)\)|none", fields["space directions"])
    lengths = (np.linalg.norm(_spacing(vector.replace(",", " "))) for vector in vectors)
    return tuple(float(length) for length in lengths)


def _refuse_endless(rule: str) -> NoReturn:
    raise InputError(
        Reason.CORRUPT, f"expected a header that ends with {rule}, got none; export again"
    )


def _refuse_unsupported(key: str, rule: str, value: str) -> NoReturn:
    raise InputError(
        Reason.UNSUPPORTED_FORMAT, f"expected {rule} as {key}, got {value!r}; convert the file"
    )
