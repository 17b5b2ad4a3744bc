"""The node's HTTP face in a thread of its own: the application is that of `deploy.web`."""

import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from pipelines.deploy.node.inbox import Inbox
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.settings import NodeSettings
from pipelines.deploy.packages.opened import find_model
from pipelines.deploy.web.app import NodeStatus, create_app
from pipelines.deploy.web.limits import Limits
from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.predictor import Predictor
from pipelines.networks.overlap import in_passing_thread

_STOP_SECONDS = 5.0
_LOOK_SECONDS = 0.02


class HttpFace:
    """Listens for HTTP.

    Args:
        settings: Of the node.
        inbox: Takes films that come by STOW-RS.
        metrics: Shown under `/metrics`.
        status: Shown under `/status`.

    Raises:
        PlainfilmError: If the port is taken, or a bundle is not as it must be.
    """

    def __init__(
        self, settings: NodeSettings, inbox: Inbox, *, metrics: Metrics, status: NodeStatus
    ) -> None:
        http = settings.http
        self._socket = _listen(http.host, http.port)
        self.port = int(self._socket.getsockname()[1])
        app = create_app(
            in_passing_thread(lambda: _predictors(settings)),
            inbox=inbox,
            limits=Limits(
                film_bytes=int(http.max_film_mb * 1e6),
                object_bytes=settings.dicom.max_object_bytes,
                waiting=http.waiting,
            ),
            hosts=http.hosts,
            registry=metrics.registry,
            node_status=status,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(_STOP_SECONDS),
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="http-face", daemon=True
        )
        self._thread.start()
        while self._thread.is_alive() and not self._server.started:
            time.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Take no more requests and end those that are open."""
        self._server.should_exit = True
        self._thread.join(2 * _STOP_SECONDS)
        self._socket.close()


def _predictors(settings: NodeSettings) -> Mapping[str, Predictor]:
    """Each bundle that a rule names, as the first rule that names it has it.

    Raises:
        ConfigurationError: If two bundles have one name, which is how clients choose between them.
    """
    predictors: dict[str, Predictor] = {}
    roots: dict[str, Path] = {}
    for rule in settings.rules:
        bundle = find_model(rule.bundle)
        root = bundle.root.resolve()
        if roots.setdefault(bundle.name, root) != root:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected bundles with names of their own where HTTP answers, got two folders "
                f"named '{bundle.name}'; rename one, or set http.enabled: false",
            )
        if bundle.name not in predictors:
            predictors[bundle.name] = Predictor.from_bundle(
                bundle, rule.overrides, overlays=rule.overlays
            )
    return predictors


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected to listen for HTTP on {host} port {port}, got {error.strerror!r}; "
            "set http.host and http.port, or http.enabled: false",
        ) from None
