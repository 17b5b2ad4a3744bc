"""A hub of weights on this machine, whose connections break where they are told to."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from fault_stages import Stage
from safetensors.torch import save

from pipelines.networks.weights import read_state

REPOSITORY = "hf://faults/tiny"


class Hub:
    """Serves one file of weights as the Hugging Face Hub does.

    Args:
        weights: A state dict.

    Attributes:
        breaks_at: Share of the file after which every connection is closed; None closes none.
    """

    def __init__(self, weights: Path) -> None:
        state = {name: value.float().contiguous() for name, value in read_state(weights).items()}
        self.content = save(state)
        self.breaks_at: float | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


class _Answer(BaseHTTPRequestHandler):
    def __init__(self, hub: Hub, *arguments: object) -> None:
        self.hub = hub
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self._head(self.hub.content)

    def do_GET(self) -> None:
        whole = self.hub.content
        first = int(self.headers.get("Range", "bytes=0-").partition("=")[2].partition("-")[0])
        if self._head(whole[first:], first=first):
            share = self.hub.breaks_at
            self.wfile.write(
                whole[first:] if share is None else whole[first : int(share * len(whole))]
            )

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _head(self, content: bytes, *, first: int = 0) -> bool:
        there = self.path.endswith("/model.safetensors")
        self.send_response((206 if first else 200) if there else 404)
        if there:
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(self.hub.content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            if first:
                end = len(self.hub.content)
                self.send_header("Content-Range", f"bytes {first}-{end - 1}/{end}")
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        return there


def with_weights_of(stage: Stage, address: str) -> Stage:
    """Return a training that begins with the weights of a hub."""
    command: Callable = partial(stage.command, more={"pretrained": REPOSITORY})
    return replace(stage, command=command, environment={"HF_ENDPOINT": address})
