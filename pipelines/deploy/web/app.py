"""The application: bundles, limits and an inbox go in, an ASGI application comes out."""

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

import pipelines
from pipelines.deploy.node.inbox import Inbox
from pipelines.deploy.web.answers import USE, Answers
from pipelines.deploy.web.desk import Desk, TimedReading
from pipelines.deploy.web.films import Films
from pipelines.deploy.web.limits import Limits
from pipelines.deploy.web.metrics import Metrics
from pipelines.deploy.web.pages import page_router
from pipelines.deploy.web.request_errors import BadRequestError, RequestError, RequestReason
from pipelines.deploy.web.shield import LOCAL_HOSTS, Shield
from pipelines.deploy.web.stow import Storing
from pipelines.deploy.web.wishes import broken
from pipelines.inference.predictor import Predictor

NodeStatus = Callable[[], Mapping[str, object]]


def create_app(
    bundles: Mapping[str, Predictor],
    *,
    inbox: Inbox | None = None,
    limits: Limits | None = None,
    hosts: Collection[str] = (),
    registry: CollectorRegistry | None = None,
    node_status: NodeStatus | None = None,
) -> FastAPI:
    """Make the HTTP face.

    Args:
        bundles: What answers films, by name, one at least; the first answers where a client names
            none.
        inbox: Where films go that are stored over STOW-RS; None has no such route.
        limits: How much one client may ask for; None takes the defaults.
        hosts: Names, without ports, that clients may call this machine beside 127.0.0.1,
            localhost and ::1.
        registry: Where counts are kept, and what `/metrics` shows; None takes one of its own.
        node_status: What `/status` says of the node; None where there is none.

    Returns:
        The application; it listens nowhere by itself.
    """
    limits = limits or Limits()
    metrics, desk, reading = Metrics(registry), Desk(limits.waiting + 1), TimedReading()
    metrics.watch(lambda: desk.taken)
    answers = {
        name: Answers(predictor, reading=reading, seconds=limits.reading_seconds)
        for name, predictor in bundles.items()
    }

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    # The pages of FastAPI that show the reference load from elsewhere.
    app = FastAPI(
        title="plainfilm",
        version=pipelines.__version__,
        description=USE,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(
        Shield,
        hosts=(*LOCAL_HOSTS, *hosts),
        metrics=metrics,
    )
    _say_problems(app)
    films = Films(answers, desk=desk, limits=limits, metrics=metrics, reading=reading)
    app.include_router(page_router())
    app.include_router(films.router())
    if inbox is not None:
        app.include_router(Storing(inbox, limits).router())
    _add_status(app, answers, desk=desk, metrics=metrics, node_status=node_status)
    return app


def _say_problems(app: FastAPI) -> None:
    """Let every refusal be JSON with `reason` and `message`, without what was sent."""

    async def say(_: Request, problem: Exception) -> Response:
        if isinstance(problem, RequestError):
            return problem.response()
        if isinstance(problem, RequestValidationError):
            return BadRequestError(*broken(problem.errors())).response()
        return _of_http(problem).response()

    for kind in (RequestError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, say)


def _of_http(error: Exception) -> RequestError:
    status = HTTPStatus(getattr(error, "status_code", HTTPStatus.BAD_REQUEST))
    missing = status is HTTPStatus.NOT_FOUND
    return RequestError(
        status,
        RequestReason.NOT_FOUND if missing else RequestReason.BAD_REQUEST,
        f"expected a request of openapi.json, got {status.phrase.lower()}",
        headers=getattr(error, "headers", None),
    )


def _add_status(
    app: FastAPI,
    answers: Mapping[str, Answers],
    *,
    desk: Desk,
    metrics: Metrics,
    node_status: NodeStatus | None,
) -> None:
    started = time.monotonic()

    @app.get("/health", tags=["node"])
    async def health() -> JSONResponse:
        """Say that the process answers."""
        return JSONResponse({"status": "ok"})

    @app.get("/status", tags=["node"])
    def status() -> JSONResponse:
        """Say which bundles are loaded and what waits."""
        said: dict[str, Any] = {
            "plainfilm_version": pipelines.__version__,
            "use": USE,
            "seconds_up": round(time.monotonic() - started),
            "bundles": [{"name": name, **each.about} for name, each in answers.items()],
            "films": {"held": desk.taken, "places": desk.places},
            "node": None if node_status is None else dict(node_status()),
        }
        return JSONResponse(said)

    @app.get("/metrics", tags=["node"], response_class=Response)
    def counts() -> Response:
        """Give counts in Prometheus' text format."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)
