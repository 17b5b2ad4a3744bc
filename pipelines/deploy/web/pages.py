"""The page for trying a film: a few files beside this one that need nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

import pipelines.reports

_STATIC = Path(__file__).parent / "static"
_THEME = Path(pipelines.reports.__file__).parent / "static" / "theme.js"
"""Light and dark, as on the pages of reports."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
INDEX = "index.html"


def page_router() -> APIRouter:
    """Return the routes of the page.

    Each file has a route of its own, so that no name in a request ever becomes a path.
    """
    router = APIRouter(include_in_schema=False)
    for path in (*sorted(_STATIC.iterdir()), _THEME):
        if path.suffix in _TYPES:
            route = "/" if path.name == INDEX else f"/static/{path.name}"
            router.add_api_route(
                route, _File(path).answer, methods=["GET"], response_class=Response
            )
    return router


class _File:
    """A file, read once."""

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        self._type = _TYPES[path.suffix]

    async def answer(self) -> Response:
        """Return it; a browser asks for it anew each time, since it is small and may change."""
        return Response(self._content, media_type=self._type)
