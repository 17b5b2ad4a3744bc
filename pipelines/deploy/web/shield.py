"""What every request passes first, and every answer last.

Browsers let any page send requests to a machine's own addresses, and a name of an attacker's can be
made to lead to 127.0.0.1 (DNS rebinding). So a request must name a host that is on a list, and one
that changes something must not come from a page of another origin. There are no cookies and no
CORS headers: no other page reads an answer.
"""

import asyncio
import logging
import traceback
from collections.abc import Collection
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.deploy.web.metrics import Metrics
from pipelines.deploy.web.request_errors import RequestError, RequestReason, internal

_log = logging.getLogger(__name__)

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
"""Names of this machine to itself."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_DRAIN_SECONDS = 5.0
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


class Shield:
    """Refuses foreign hosts and pages, adds headers, counts answers, and swallows errors.

    Args:
        app: What answers.
        hosts: Host names, without ports, that a request may name.
        metrics: Where answers are counted.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], metrics: Metrics) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; what is no HTTP request passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._finish(scope, message)
                await body.drain()
            await send(message)

        try:
            problem = self._refusal(scope)
            if problem is None:
                await self._app(scope, body.receive, sending)
            else:
                await problem.response()(scope, body.receive, sending)
        except ClientDisconnect:
            _log.info("a client went away before its request was whole")
        except Exception as error:  # noqa: BLE001 - its text may quote what was sent
            _log.error("a request failed: %s", _where(error))
            if not started:
                await internal().response()(scope, body.receive, sending)

    def _refusal(self, scope: Scope) -> RequestError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _host_name(host) not in self._hosts:
            return RequestError(
                HTTPStatus.MISDIRECTED_REQUEST,
                RequestReason.HOST_NOT_ALLOWED,
                "expected a Host that is allowed, got another one; "
                "name it in http.hosts of the configuration",
            )
        if scope["method"] in _SAFE:
            return None
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign or headers.get("sec-fetch-site", "none") not in _OWN_SITES:
            return RequestError(
                HTTPStatus.FORBIDDEN,
                RequestReason.CROSS_ORIGIN,
                "expected a request of this page or of a program, got one of another page",
            )
        return None

    def _finish(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers[name] = value
        headers.setdefault("Cache-Control", "no-store")
        route: Any = scope.get("route")
        self._metrics.answered(getattr(route, "path", "none"), message["status"])


class _Body:
    """What a client sends, read to its end where an answer comes early.

    A connection that is closed while a client still sends is reset, and the answer with it. So what
    nobody wants is read for some seconds and dropped, unless the client asks before it sends.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._ended = scope["method"] in _SAFE or "expect" in Headers(scope=scope)

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._ended = True
        return message

    async def drain(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self._ended:
                    await self.receive()


def _host_name(host: str) -> str:
    """Name in a Host header, without its port and brackets; empty where there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _where(error: BaseException) -> str:
    """Name the class of an error and the line that raised it, and nothing that it says."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
