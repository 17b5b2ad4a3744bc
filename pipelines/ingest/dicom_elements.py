"""The data elements of a DICOM file, walked by pydicom over a stream that bounds what it may read.

pydicom believes the lengths that a file names, nests as deep as the file says, and takes note of
every item that it passes. Files come from anywhere, so each of its reads is held against the end of
the file and against a budget, and whatever it raises becomes a refusal.
"""

import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO, Literal, NamedTuple, NoReturn, cast

from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filereader import data_element_generator, read_sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import VR

from pipelines.errors import InputError, Reason

FoundElement = RawDataElement | DataElement
"""An element as pydicom gives it: bytes, or the items of a sequence."""

UNDEFINED = 0xFFFF_FFFF

_CHARACTER_SET = frozenset({b"\x08\0\x05\0", b"\0\x08\0\x05"})
"""The tag of SpecificCharacterSet, in both byte orders."""
_DELIMITERS = 0xFFFE
_HEAD_BYTES = 8
_MAX_VALUE_BYTES = 4_000_000
_BUDGET = 100_000_000
"""Bytes that pydicom may read of one file; pixels are read without it."""
_LEAST_COST = 1_000
"""What a read takes from the budget at least: one or two make an element, of which a radiograph has
some hundreds. Bounds the time, and the memory for what pydicom notes of each item."""


class Encoding(NamedTuple):
    """How elements are written: with their value representation or not, and the byte order."""

    explicit: bool
    little: bool

    @property
    def order(self) -> Literal["little", "big"]:
        """Byte order, by its name in Python."""
        return "little" if self.little else "big"


class Element(NamedTuple):
    """One data element: its tag, value representation, and where its value stands.

    `representation` is empty where the encoding is implicit, or where there is none that exists;
    `length` may be `UNDEFINED`.
    """

    tag: int
    representation: str
    start: int
    length: int


class Stream:
    """The bytes of an open file: for pydicom to read within bounds, and for us to read at a place.

    Args:
        content: An open file; it stays the caller's to close.
        size: Its length in bytes.
    """

    def __init__(self, content: BinaryIO, size: int) -> None:
        self.size = size
        self._content = content
        self._budget = _BUDGET
        self.seek, self.tell = content.seek, content.tell

    def read(self, size: int) -> bytes:
        """Read on for pydicom: all of `size` bytes, or none where it looks for one more element.

        Raises:
            InputError: TRUNCATED if the file ends before; CORRUPT if the budget is spent.
        """
        left = max(0, self.size - self.tell())
        if size > left and (left or size > _HEAD_BYTES):
            refuse_truncated()
        self._budget -= max(size, _LEAST_COST)
        if self._budget < 0:
            refuse_corrupt("a header of a sensible size", "a larger one")
        found = self._content.read(size)
        if size == _HEAD_BYTES and found[:4] in _CHARACTER_SET:
            # pydicom warns of character sets that it does not know and prints them; `warnings` has
            # one state for all threads. All values stay bytes, so it is shown a group length here.
            return found[:2] + b"\0\0" + found[4:]
        return found

    def peek(self, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start`; fewer at the end of the file."""
        self.seek(start)
        return self._content.read(length)

    def read_at(self, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from `start`.

        Raises:
            InputError: TRUNCATED if the file ends before.
        """
        if start + length > self.size or len(found := self.peek(start, length)) < length:
            refuse_truncated()
        return found


def inflate(content: BinaryIO, start: int, limit: int) -> Stream:
    """Inflate a deflated data set.

    Args:
        content: The open file.
        start: Where the deflated bytes begin.
        limit: How many bytes may come out: what a bomb may cost.

    Returns:
        The inflated bytes; fewer than there were if the file is cut.

    Raises:
        InputError: TOO_LARGE if there are more than `limit`; CORRUPT if this is no deflated data.
    """
    content.seek(start)
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content.read(limit), limit + 1)
    except zlib.error:
        refuse_corrupt("a deflated data set", "other bytes")
    if len(inflated) > limit:
        raise InputError(
            Reason.TOO_LARGE,
            f"expected at most {limit} bytes after inflation, got {limit} or more",
        )
    return Stream(BytesIO(inflated), len(inflated))


def read_elements(
    stream: Stream, encoding: Encoding, *, wanted: Collection[int], stop: Callable[[int], bool]
) -> tuple[dict[int, FoundElement], Element | None]:
    """Read the wanted elements from where the stream stands, and pass over the others.

    Args:
        stream: The file; afterwards it stands at the element that ended the reading.
        encoding: How the elements are written.
        wanted: Tags of the elements to keep.
        stop: Says of a tag whether its element ends the reading.

    Returns:
        The wanted elements by tag, sequences parsed and all others as bytes; and the element that
        ended the reading, None at the end of the data set.

    Raises:
        InputError: TRUNCATED if the file ends within a value; CORRUPT if there are no elements;
            INVALID_ATTRIBUTE if a wanted value is longer than any sensible one.
    """
    found: dict[int, FoundElement] = {}
    last: Element | None = None

    def stop_when(tag: BaseTag, representation: str | None, length: int) -> bool:
        nonlocal last
        known = representation if representation in VR.__members__ else None
        element = Element(int(tag), known or "", stream.tell(), length)
        if stop(element.tag):
            last = element
            return True
        _check(element, encoding, stream, keep=tag in wanted)
        return False

    with refusing_damage(stream):
        for element in data_element_generator(
            cast(BinaryIO, stream),
            is_implicit_VR=not encoding.explicit,
            is_little_endian=encoding.little,
            stop_when=stop_when,
            specific_tags=list(wanted),
        ):
            found[element.tag] = _parsed(element)
    return found, last


def check_representation(element: Element | None, encoding: Encoding) -> None:
    """Refuse an element without the value representation that the encoding asks for.

    Args:
        element: The element, if there is one.
        encoding: How it is written.

    Raises:
        InputError: CORRUPT if it has none that exists.
    """
    if element is None or not encoding.explicit or element.representation:
        return
    if element.tag >> 16 != _DELIMITERS:
        refuse_corrupt("a value representation in the header", "other bytes")


def _check(element: Element, encoding: Encoding, stream: Stream, *, keep: bool) -> None:
    check_representation(element, encoding)
    if keep and element.length > _MAX_VALUE_BYTES and not _is_sequence(element.tag):
        raise InputError(
            Reason.INVALID_ATTRIBUTE,
            f"expected at most {_MAX_VALUE_BYTES} bytes in {keyword_for_tag(element.tag)}, "
            "got more; the header is damaged",
        )
    if element.length != UNDEFINED and element.start + element.length > stream.size:
        refuse_truncated()


def _is_sequence(tag: int) -> bool:
    # A group length, as which SpecificCharacterSet is shown, has no entry.
    return dictionary_has_tag(tag) and dictionary_VR(tag) == VR.SQ


def _parsed(element: FoundElement) -> FoundElement:
    # Sequences of undefined length have been parsed, the others are bytes.
    if not isinstance(element, RawDataElement) or not _is_sequence(element.tag):
        return element
    value = element.value or b""
    stream = Stream(BytesIO(value), len(value))
    with refusing_damage(stream):
        items = read_sequence(
            cast(BinaryIO, stream),
            element.is_implicit_VR,
            element.is_little_endian,
            len(value),
            default_encoding,
        )
    return DataElement(element.tag, VR.SQ, items)


@contextmanager
def refusing_damage(stream: Stream) -> Iterator[None]:
    """Turn whatever pydicom raises on damaged content into a refusal.

    Args:
        stream: What pydicom reads.

    Yields:
        Nothing: what pydicom does goes into the block.

    Raises:
        InputError: TRUNCATED if the file ends too early; CORRUPT for all other damage. An error of
            the operating system or want of memory passes.
    """
    try:
        yield
    except Exception as error:
        own = isinstance(error, (InputError, MemoryError))
        if own or (isinstance(error, OSError) and error.errno is not None):
            raise
        # It has its own error for whatever goes wrong at an item, a refusal by the stream included.
        if isinstance(error.__context__, InputError):
            raise error.__context__ from None
        if stream.tell() > stream.size - _HEAD_BYTES:
            refuse_truncated()
        refuse_corrupt("data elements in the order of the standard", "other bytes")


def refuse_truncated() -> NoReturn:
    """Refuse a file that ends too early.

    Raises:
        InputError: TRUNCATED, always.
    """
    raise InputError(
        Reason.TRUNCATED, "expected the whole file, got one that ends too early; copy it again"
    ) from None


def refuse_corrupt(rule: str, got: str) -> NoReturn:
    """Refuse a file that breaks a rule of the format.

    Raises:
        InputError: CORRUPT, always.
    """
    raise InputError(
        Reason.CORRUPT, f"expected {rule}, got {got}; the file is damaged, export it again"
    ) from None
