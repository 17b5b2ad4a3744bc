"""REST for one film: `POST /predict` answers it, `POST /film` gives its values for a viewer."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from pipelines.deploy.web.answers import Answers
from pipelines.deploy.web.desk import Desk, TimedReading
from pipelines.deploy.web.limits import Limits
from pipelines.deploy.web.metrics import Metrics
from pipelines.deploy.web.receiving import FILM_FIELD, FORM, SentFilm, receive_film
from pipelines.deploy.web.request_errors import RequestError, RequestReason, request_error
from pipelines.deploy.web.uploads import Upload, close_quietly
from pipelines.deploy.web.views import MEDIA_TYPE, view_bytes
from pipelines.deploy.web.wishes import FilmWishes, Wishes
from pipelines.errors import PlainfilmError, Reason
from pipelines.inference.reading import ReaderPool
from pipelines.ingest.read import read_film_values, read_header
from pipelines.nearest import right_names

_BINARY: Mapping[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/dicom": _BINARY,
            "image/png": _BINARY,
            "image/jpeg": _BINARY,
            "image/tiff": _BINARY,
            "application/octet-stream": _BINARY,
            FORM: {
                "schema": {
                    "type": "object",
                    "required": [FILM_FIELD],
                    "properties": {FILM_FIELD: {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "Parameters or a form that break a rule."},
    408: {"description": "The film did not come in time."},
    413: {"description": "The film is too large, as sent or by its header."},
    415: {"description": "The film is of a format that is not read."},
    422: {"description": "The film cannot be read or predicted; `reason` says why."},
    503: {"description": "No room for one more film; `Retry-After` says when to come back."},
}


class Films:
    """Answers films that come over HTTP, one at a time.

    Args:
        answers: By name of the bundle; the first answers where none is named.
        desk: Who may be at it.
        limits: Bytes and seconds.
        metrics: Where films are counted.
        reading: Reads within a time limit.
    """

    def __init__(
        self,
        answers: Mapping[str, Answers],
        *,
        desk: Desk,
        limits: Limits,
        metrics: Metrics,
        reading: TimedReading,
    ) -> None:
        self._answers = answers
        self._desk = desk
        self._limits = limits
        self._metrics = metrics
        self._reading = reading

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["film"])

        @router.post("/predict", openapi_extra=_BODY, responses=_REFUSALS)
        async def predict(request: Request, wishes: Annotated[Wishes, Query()]) -> JSONResponse:
            """Answer one film.

            The body is the film itself, or a form with the film in the field `film`. Nothing of it
            is kept.
            """
            return await self._predict(request, wishes)

        @router.post(
            "/film",
            openapi_extra=_BODY,
            responses=_REFUSALS | {200: {"content": {MEDIA_TYPE: _BINARY}}},
            response_class=Response,
        )
        async def film(request: Request, wishes: Annotated[FilmWishes, Query()]) -> Response:
            """Give the values of one film before its window, for a viewer."""
            return await self._film(request, wishes)

        return router

    async def _predict(self, request: Request, wishes: Wishes) -> JSONResponse:
        async with self._desk.place():
            sent = await receive_film(request, self._limits)
            with _closing(sent.upload):
                wishes = wishes.with_fields(sent.fields)
                name, answer = self._choose(wishes.bundle)
                with self._counted(name):
                    found = await self._desk.work(lambda: answer(sent.upload, wishes), request)
        return JSONResponse(found)

    async def _film(self, request: Request, wishes: FilmWishes) -> Response:
        async with self._desk.place():
            sent = await receive_film(request, self._limits)
            with _closing(sent.upload), _said():
                wishes = wishes.with_fields(sent.fields)
                view = await self._desk.work(lambda: self._view(sent, wishes), request)
        return Response(view, media_type=MEDIA_TYPE)

    def _view(self, sent: SentFilm, wishes: FilmWishes) -> bytes:
        def load() -> bytes:
            try:
                film = read_film_values(sent.upload.path, frame=wishes.frame - 1)
                header = read_header(sent.upload.path)
            finally:
                sent.upload.close()
            frames = 1 if header is None else header.frames
            return view_bytes(film, longest=wishes.longest, frames=frames)

        seconds = self._limits.reading_seconds or ReaderPool().seconds_per_film
        view: bytes = self._reading(load, seconds=seconds)
        return view

    def _choose(self, name: str | None) -> tuple[str, Answers]:
        if name is None:
            return next(iter(self._answers.items()))
        if name not in self._answers:
            raise RequestError(
                HTTPStatus.NOT_FOUND,
                Reason.UNKNOWN_NAME,
                f"expected a bundle that is loaded, got {name!r}{right_names(name, self._answers)}",
            )
        return name, self._answers[name]

    @contextmanager
    def _counted(self, bundle: str) -> Iterator[None]:
        began = time.monotonic()
        outcome: str = Reason.INTERNAL
        try:
            with _said():
                yield
            outcome = "predicted"
        except RequestError as problem:
            outcome = problem.reason
            raise
        finally:
            if outcome != RequestReason.BUSY:
                self._metrics.film(bundle, outcome, time.monotonic() - began)


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except PlainfilmError as error:
        raise request_error(error) from None


@contextmanager
def _closing(upload: Upload) -> Iterator[None]:
    try:
        yield
    finally:
        close_quietly(upload)
