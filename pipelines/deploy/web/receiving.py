"""From a request to the film in it, or to its parts: streamed, counted, and timed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request

from pipelines.deploy.web.limits import Limits
from pipelines.deploy.web.request_errors import (
    BadRequestError,
    MediaTypeError,
    RequestError,
    RequestReason,
    TooLargeError,
)
from pipelines.deploy.web.uploads import (
    Part,
    Upload,
    boundary_of,
    media_type,
    read_parts,
)

FORM = "multipart/form-data"
FILM_FIELD = "film"
_FORM_OVERHEAD = 65_536  # boundaries, headers and small fields beside the film
_FIELD_BYTES = 1_000
_RAW = ("application/dicom", "application/octet-stream", "image/")


@dataclass(frozen=True, slots=True)
class SentFilm:
    """A film as it was sent.

    Attributes:
        upload: Its content.
        fields: What stood beside it in a form.
    """

    upload: Upload
    fields: Mapping[str, str]


@asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """Let a client take no longer than it may.

    Args:
        seconds: How long it may take for what the block does.

    Yields:
        Nothing.

    Raises:
        RequestError: If it takes longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise RequestError(
            HTTPStatus.REQUEST_TIMEOUT,
            RequestReason.TOO_SLOW_TO_SEND,
            f"expected a request within {seconds:g} s, got a part of one; send it again",
            headers={"Connection": "close"},
        ) from None


async def receive_film(request: Request, limits: Limits) -> SentFilm:
    """Receive one film: the body itself, or the field `film` of a form.

    Args:
        request: The request.
        limits: Bytes and seconds.

    Returns:
        The film; who gets it closes its upload.

    Raises:
        RequestError: If it does not come in time.
        TooLargeError: If it is larger than it may be.
        MediaTypeError: If it is said to be something else.
        BadRequestError: If there is not exactly one film.
    """
    content_type = request.headers.get("content-type", "")
    kind = media_type(content_type)
    async with in_time(limits.receiving_seconds):
        if kind == FORM:
            chunks = body(request, limits.film_bytes + _FORM_OVERHEAD)
            parts = read_parts(chunks, boundary_of(content_type), limit=limits.film_bytes)
            return await _film_of_form(parts)
        if kind and not kind.startswith(_RAW):
            raise MediaTypeError(f"{FORM}, application/dicom or an image type")
        upload = Upload(limits.film_bytes)
        try:
            async for chunk in body(request, limits.film_bytes):
                upload.write(chunk)
        except BaseException:
            upload.close()
            raise
    upload.finish()
    return SentFilm(upload, {})


async def body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Hand out a body as it comes.

    Args:
        request: The request.
        limit: Most bytes.

    Yields:
        Its pieces.

    Raises:
        TooLargeError: If it is larger, before anything is read where the client says so.
        MediaTypeError: If it is compressed.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise MediaTypeError("a body without Content-Encoding")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise TooLargeError(limit)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError(limit)
        if chunk:
            yield chunk


async def _film_of_form(parts: AsyncGenerator[Part, None]) -> SentFilm:
    film: Upload | None = None
    fields: dict[str, str] = {}
    try:
        async with aclosing(parts) as all_parts:
            async for part in all_parts:
                if part.name == FILM_FIELD and film is None:
                    film = part.upload
                else:
                    fields[part.name] = _small_text(part)
    except BaseException:
        if film is not None:
            film.close()
        raise
    if film is None:
        raise BadRequestError(f"a film in the field {FILM_FIELD!r} of the form", "none")
    return SentFilm(film, fields)


def _small_text(part: Part) -> str:
    try:
        if part.name == FILM_FIELD:
            raise BadRequestError("one film a request", "more")
        if part.upload.size > _FIELD_BYTES:
            raise BadRequestError(f"fields of at most {_FIELD_BYTES} bytes", "a longer one")
        return part.upload.path.read_bytes().decode("utf-8", "replace")
    finally:
        part.upload.close()
