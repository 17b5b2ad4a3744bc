"""The data elements of a DICOM file as bytes: where they stand and how long they are (PS3.5, 7).

This walks the few kilobytes before the pixels by itself instead of asking pydicom, because a folder
of strangers' files is read by many threads: pydicom speaks through `warnings`, whose filters are
one per process, and its warnings print the offending values; and it inflates a deflated file whole.
Here every length is held against the end of the file before it is believed.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, NoReturn

from pipelines.errors import InputError, Reason

UNDEFINED = 0xFFFF_FFFF
ITEM = 0xFFFE_E000
ITEM_END = 0xFFFE_E00D
SEQUENCE_END = 0xFFFE_E0DD

_BLOCK_BYTES = 16_384
_MAX_ELEMENTS = 50_000
"""Elements passed on the way to the pixels; a radiograph has some hundreds. Bounds the time."""
_MAX_DEPTH = 32
_TAG_AND_LENGTH = 8
_LONG_HEADER = 12
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ"}) | frozenset(
    {b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


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

    `representation` is empty where the encoding is implicit; `length` may be `UNDEFINED`.
    """

    tag: int
    representation: bytes
    start: int
    length: int


class Source:
    """The bytes of an open file, read in blocks.

    Args:
        content: An open file; it stays the caller's to close.
        size: Its length in bytes.
    """

    def __init__(self, content: BinaryIO, size: int) -> None:
        self._content = content
        self._size = size
        self._block = b""
        self._block_start = 0

    def peek(self, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start`; fewer at the end of the file."""
        offset = start - self._block_start
        if offset >= 0 and offset + length <= len(self._block):
            return self._block[offset : offset + length]
        self._content.seek(start)
        if length > _BLOCK_BYTES:
            return self._content.read(length)
        self._block = self._content.read(_BLOCK_BYTES)
        self._block_start = start
        return self._block[:length]

    def read(self, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from `start`.

        Raises:
            InputError: TRUNCATED if the file ends before.
        """
        if not self.reaches(start + length) or len(found := self.peek(start, length)) < length:
            refuse_truncated()
        return found

    def reaches(self, end: int) -> bool:
        """Whether the file has at least `end` bytes."""
        return end <= self._size

    def may_reach(self, end: int) -> bool:
        """Whether there can be `end` bytes, told without any effort."""
        return end <= self._size


class InflatedSource(Source):
    """The bytes behind a deflated data set, inflated only as far as they are asked for.

    Args:
        content: The open file.
        start: Where the deflated bytes begin.
        limit: How many bytes may come out: what a bomb may cost.
    """

    def __init__(self, content: BinaryIO, start: int, limit: int) -> None:
        super().__init__(content, 0)
        self._next = start
        self._limit = limit
        self._inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self._inflated = bytearray()

    def peek(self, start: int, length: int) -> bytes:
        """Return up to `length` inflated bytes from `start`; fewer at the end."""
        self.reaches(start + length)
        return bytes(self._inflated[start : start + length])

    def reaches(self, end: int) -> bool:
        """Inflate up to `end` and tell whether there is as much.

        Raises:
            InputError: TOO_LARGE if `end` is beyond the limit; CORRUPT if this is no deflated data.
        """
        self.may_reach(end)
        while len(self._inflated) < end and self._inflate_more(end - len(self._inflated)):
            pass
        return len(self._inflated) >= end

    def may_reach(self, end: int) -> bool:
        """Whether `end` is within the limit; how much there is is known after inflation.

        Raises:
            InputError: TOO_LARGE if it is not.
        """
        if end > self._limit:
            raise InputError(
                Reason.TOO_LARGE,
                f"expected at most {self._limit} bytes after inflation, got {end} or more",
            )
        return True

    def _inflate_more(self, wanted: int) -> bool:
        packed = self._inflate.unconsumed_tail
        if not packed:
            self._content.seek(self._next)
            packed = self._content.read(_BLOCK_BYTES)
            self._next += len(packed)
        try:
            inflated = self._inflate.decompress(packed, max(wanted, _BLOCK_BYTES))
        except zlib.error:
            refuse_corrupt("a deflated data set", "other bytes")
        self._inflated += inflated
        return bool(packed or inflated) and not self._inflate.eof


class Walker:
    """Goes over the elements of a data set, in the order of the file.

    Args:
        source: Where the bytes are.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._budget = _MAX_ELEMENTS

    def elements(self, start: int, encoding: Encoding) -> Iterator[Element]:
        """Yield the elements from `start` on; their values are neither read nor checked.

        Ends at the end of the file or of the item. Going on after an element skips its value, with
        all that is nested in it.

        Args:
            start: Where the first element stands.
            encoding: How they are written.

        Yields:
            One element after the other.
        """
        while self.source.reaches(start + 1):
            element = self.element(start, encoding)
            if element.tag == ITEM_END:
                return
            yield element
            start = self._after(element, encoding, depth=0)

    def element(self, start: int, encoding: Encoding) -> Element:
        """Read the head of the element at `start`.

        Raises:
            InputError: TRUNCATED if the file ends within it; CORRUPT if there is no element.
        """
        self._budget -= 1
        if self._budget < 0:
            refuse_corrupt(f"at most {_MAX_ELEMENTS} data elements", "more")
        order = encoding.order
        head = self.source.peek(start, _LONG_HEADER)
        if len(head) < _TAG_AND_LENGTH:
            refuse_truncated()
        tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
        if not encoding.explicit or tag >> 16 == ITEM >> 16:
            return Element(tag, b"", start + 8, int.from_bytes(head[4:8], order))
        representation = head[4:6]
        if representation in _SHORT:
            return Element(tag, representation, start + 8, int.from_bytes(head[6:8], order))
        if representation not in _LONG:
            refuse_corrupt("a value representation in the header", "other bytes")
        if len(head) < _LONG_HEADER:
            refuse_truncated()
        return Element(tag, representation, start + 12, int.from_bytes(head[8:12], order))

    def first_item(self, sequence: Element, encoding: Encoding) -> Iterator[Element]:
        """Yield the elements of the first item of a sequence; none if it is empty.

        Args:
            sequence: The sequence.
            encoding: How the data set is written.

        Yields:
            The elements of the item.

        Raises:
            InputError: CORRUPT if something else than an item stands there.
        """
        if sequence.length == 0:
            return
        item = self.element(sequence.start, encoding)
        if item.tag == SEQUENCE_END or item.length == 0:
            return
        if item.tag != ITEM:
            refuse_corrupt("an item in a sequence", "other bytes")
        for element in self.elements(item.start, self.sniff(item.start, encoding)):
            if element.start > item.start + item.length:
                return
            yield element

    def _after(self, element: Element, encoding: Encoding, *, depth: int) -> int:
        """Return where the next element stands."""
        if element.length != UNDEFINED:
            end = element.start + element.length
            if not self.source.reaches(end):
                refuse_truncated()
            return end
        if depth > _MAX_DEPTH:
            refuse_corrupt(f"at most {_MAX_DEPTH} nested sequences", "more")
        # A sequence of unknown representation is written implicitly inside (PS3.5, 6.2.2 note 2).
        inside = Encoding(False, True) if element.representation == b"UN" else encoding
        start = element.start
        while (item := self.element(start, inside)).tag == ITEM:
            start = self._after_item(item, inside, depth=depth + 1)
        if item.tag != SEQUENCE_END:
            refuse_corrupt("an item in a sequence", "other bytes")
        return item.start

    def _after_item(self, item: Element, encoding: Encoding, *, depth: int) -> int:
        if item.length != UNDEFINED:
            return self._after(item, encoding, depth=depth)
        start = item.start
        inside = self.sniff(start, encoding)
        while (element := self.element(start, inside)).tag != ITEM_END:
            start = self._after(element, inside, depth=depth)
        return element.start

    def sniff(self, start: int, expected: Encoding) -> Encoding:
        """Tell from the first element at `start` whether it is really written as `expected`.

        Some writers name one syntax and use the other, for the file or within sequences.
        """
        representation = self.source.peek(start, 6)[4:6]
        if len(representation) < 2:  # noqa: PLR2004 (cut here: whoever reads on will say so)
            return expected
        return Encoding(representation in _SHORT | _LONG, expected.little)


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
