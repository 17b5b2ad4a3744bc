"""What clients send, received as it comes: within limits, and without a trace on any disk."""

import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pipelines.deploy.web.request_errors import BadRequestError, TooLargeError

MOST_PARTS = 10_000
"""Parts of one request: more than a study has, and each costs an entry in the answer."""


class Upload:
    """A file that a client sends.

    It stands in memory under no name (`memfd_create`), so that a killed process leaves nothing;
    where the system has no such files, in a temporary one that ends with the process or `close`.

    Args:
        limit: Most bytes that are taken.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = _nameless()
        self.size = 0

    @property
    def path(self) -> Path:
        """Where a reader finds the content, until `close`."""
        if isinstance(self._content.name, str):
            return Path(self._content.name)
        return Path(f"/proc/self/fd/{self._content.fileno()}")

    def write(self, chunk: bytes) -> None:
        """Take one more piece.

        Raises:
            TooLargeError: If that is more than the limit.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            raise TooLargeError(self._limit)
        self._content.write(chunk)

    def finish(self) -> None:
        """Make what was written visible to readers."""
        self._content.flush()

    def close(self) -> None:
        """Forget the content."""
        self._content.close()


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("film"), "w+b", buffering=0)
    return tempfile.NamedTemporaryFile(buffering=0)


@dataclass(slots=True)
class Part:
    """One part of a multipart body.

    Attributes:
        headers: By name, in lower case.
        upload: Its content.
    """

    upload: Upload
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters; empty if the part names none."""
        return media_type(self.headers.get("content-type", ""))

    @property
    def disposition(self) -> Mapping[bytes, bytes]:
        """Parameters of its Content-Disposition."""
        return parse_options_header(self.headers.get("content-disposition", ""))[1]

    @property
    def name(self) -> str:
        """Name of the field of a form."""
        return self.disposition.get(b"name", b"").decode("utf-8", "replace")


class _Collector:
    """Makes parts of what the parser finds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._done: list[Part] = []
        self._part: Part | None = None
        self._name = bytearray()
        self._value = bytearray()
        self._parts = 0
        self.ended = False

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self.on_part_begin,
                "on_part_data": self.on_part_data,
                "on_part_end": self.on_part_end,
                "on_header_field": self.on_header_field,
                "on_header_value": self.on_header_value,
                "on_header_end": self.on_header_end,
                "on_end": self.on_end,
            },
        )

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadRequestError(f"at most {MOST_PARTS} parts", "more")
        self._part = Part(Upload(self._limit))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is not None:
            self._part.upload.write(data[start:end])

    def on_part_end(self) -> None:
        if self._part is not None:
            self._part.upload.finish()
            self._done.append(self._part)
        self._part = None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._part is not None:
            name = self._name.decode("latin-1").strip().lower()
            self._part.headers[name] = self._value.decode("latin-1").strip()
        self._name.clear()
        self._value.clear()

    def on_end(self) -> None:
        self.ended = True

    def ready(self) -> Iterator[Part]:
        """Hand out the parts that are whole."""
        while self._done:
            yield self._done.pop(0)

    def close(self) -> None:
        for part in (*self._done, *filter(None, [self._part])):
            part.upload.close()


async def read_parts(
    chunks: AsyncIterator[bytes], boundary: bytes, *, limit: int
) -> AsyncGenerator[Part, None]:
    """Take a multipart body apart as it comes.

    Args:
        chunks: The body.
        boundary: What stands between its parts.
        limit: Most bytes of one part.

    Yields:
        Each part once it is whole; who takes it closes its upload.

    Raises:
        BadRequestError: If the body is no multipart or ends early.
        TooLargeError: If a part is too large.
    """
    collector = _Collector(limit)
    try:
        parser = collector.parser(boundary)
        async for chunk in chunks:
            parser.write(chunk)
            for part in collector.ready():
                yield part
    except FormParserError:
        raise BadRequestError("a multipart body", "one that cannot be taken apart") from None
    finally:
        collector.close()
    if not collector.ended:
        raise BadRequestError("a multipart body with its last boundary", "one that ends early")


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names.

    Raises:
        BadRequestError: If it names none.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise BadRequestError("a boundary in the Content-Type", "none")
    return boundary


def media_type(content_type: str) -> str:
    """Return a media type in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def close_quietly(upload: Upload) -> None:
    """Close an upload that its reader may be closing at this moment."""
    with suppress(OSError):
        upload.close()
