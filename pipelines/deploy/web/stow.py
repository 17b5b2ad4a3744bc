"""STOW-RS (PS3.18, 10.5): films come over HTTP into the node's durable inbox."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from pipelines.deploy.node.arrival import check_uid
from pipelines.deploy.node.inbox import Inbox, Receipt, ReceiptState, Source
from pipelines.deploy.web.desk import Desk
from pipelines.deploy.web.limits import Limits
from pipelines.deploy.web.receiving import body, in_time
from pipelines.deploy.web.request_errors import (
    RETRY_AFTER_SECONDS,
    BadRequestError,
    MediaTypeError,
    RequestError,
    RequestReason,
)
from pipelines.deploy.web.stored import Brought, Failure, Stored, Uids
from pipelines.deploy.web.uploads import Part, boundary_of, media_type, read_parts
from pipelines.errors import InputError, Outcome, Reason
from pipelines.ingest.dicom import inspect_dicom, read_sop_uids

MEDIA_TYPE = "application/dicom+json"
_RELATED, _DICOM = "multipart/related", "application/dicom"
_ACCEPTED = frozenset({MEDIA_TYPE, "application/json", "application/*", "*/*"})
_SOURCE = Source("stow")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {f'{_RELATED}; type="{_DICOM}"': {"schema": {"type": "string"}}},
    }
}

_FAILURES = {
    Reason.QUEUE_FULL: Failure.OUT_OF_RESOURCES,
    Reason.DISK_FULL: Failure.OUT_OF_RESOURCES,
    Reason.NOT_A_RADIOGRAPH: Failure.CLASS_NOT_SUPPORTED,
    Reason.UID_CONFLICT: Failure.DUPLICATE_INSTANCE,
    Reason.INVALID_UID: Failure.INVALID_INSTANCE,
    Reason.FILE_UNREADABLE: Failure.PROCESSING,
    Reason.INTERNAL: Failure.PROCESSING,
}


class Storing:
    """Takes what STOW-RS brings.

    Args:
        inbox: Where it goes.
        limits: Bytes and seconds, and how many requests may store at the same time.
    """

    def __init__(self, inbox: Inbox, limits: Limits) -> None:
        self._inbox = inbox
        self._limits = limits
        self._desk = Desk(limits.storing)

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix="/dicom-web", tags=["node"])
        responses: dict[int | str, dict[str, Any]] = {
            200: {"description": "All films are stored.", "content": {MEDIA_TYPE: {}}},
            202: {"description": "Some films are stored."},
            400: {"description": "The body is no multipart of DICOM files, or ends early."},
            409: {"description": "No film is stored; FailureReason says why."},
            413: {"description": "The request, or a film in it, is too large."},
            415: {"description": "The body is of another media type."},
            503: {"description": "No room; `Retry-After` says when to come back."},
        }

        @router.post("/studies", openapi_extra=_BODY, responses=responses)
        async def store(request: Request) -> JSONResponse:
            """Store films; those that a rule takes are predicted."""
            return await self._store(request, None)

        @router.post("/studies/{study}", openapi_extra=_BODY, responses=responses)
        async def store_in_study(request: Request, study: str) -> JSONResponse:
            """Store films of one study; those of another one are refused."""
            return await self._store(request, study)

        return router

    async def _store(self, request: Request, study: str | None) -> JSONResponse:
        _check_accept(request.headers.get("accept", "*/*"))
        content_type = request.headers.get("content-type", "")
        kind = parse_options_header(content_type)[1].get(b"type", _DICOM.encode())
        if media_type(content_type) != _RELATED or kind.decode("latin-1").lower() != _DICOM:
            raise MediaTypeError(f'{_RELATED}; type="{_DICOM}"')
        stored = Stored()
        async with self._desk.place():
            chunks = body(request, self._limits.study_bytes)
            parts = read_parts(chunks, boundary_of(content_type), limit=self._limits.object_bytes)
            async with in_time(self._limits.storing_seconds):
                await self._take(parts, study, stored)
        if not stored.brought:
            raise BadRequestError("at least one DICOM file", "none")
        status = stored.status
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return JSONResponse(
            stored.dataset(),
            status_code=status,
            media_type=MEDIA_TYPE,
            headers=headers if status is HTTPStatus.SERVICE_UNAVAILABLE else None,
        )

    async def _take(
        self, parts: AsyncGenerator[Part, None], study: str | None, stored: Stored
    ) -> None:
        async with aclosing(parts) as all_parts:
            async for part in all_parts:
                try:
                    stored.brought.append(await run_in_threadpool(self._add, part, study))
                finally:
                    part.upload.close()

    def _add(self, part: Part, study: str | None) -> Brought:
        if part.content_type not in {"", _DICOM}:
            return Brought(None, Failure.CANNOT_UNDERSTAND)
        uids, other_study = _uids(part, study)
        if other_study:
            return Brought(uids, Failure.OTHER_DATA_SET)
        return Brought(uids, _failure(self._inbox.add(part.upload.path, source=_SOURCE)))


def _uids(part: Part, study: str | None) -> tuple[Uids | None, bool]:
    """Return which object a part holds, if it says so as it must, and if it is of another study."""
    path = part.upload.path
    other = False
    try:
        try:
            header = inspect_dicom(path)
            found = (header.sop_class, header.sop_instance_uid)
            other = study not in {None, header.identity.study_instance_uid}
        except InputError:
            found = read_sop_uids(path)
        for uid in found:
            check_uid(uid)
    except InputError:
        return None, other
    return Uids(*found), other


def _failure(receipt: Receipt) -> Failure | None:
    """Say why a film was not taken; what is kept without a prediction was taken."""
    if receipt.state is not ReceiptState.REFUSED:
        return None
    reason = receipt.reason or Reason.INTERNAL
    if reason not in _FAILURES and reason.outcome is Outcome.SKIPPED:
        return Failure.CANNOT_UNDERSTAND
    return _FAILURES.get(reason, Failure.CANNOT_UNDERSTAND)


def _check_accept(accept: str) -> None:
    wanted = {media_type(each) for each in accept.split(",")}
    if not wanted & _ACCEPTED:
        raise RequestError(
            HTTPStatus.NOT_ACCEPTABLE,
            RequestReason.NOT_ACCEPTABLE,
            f"expected a client that accepts {MEDIA_TYPE}, got one that does not",
        )
