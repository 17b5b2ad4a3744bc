"""The HTTP face over a tiny bundle, and a client that calls it by an allowed name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bundle_fixture import one_torch_thread, write_tiny_bundle
from starlette.testclient import TestClient

from pipelines.deploy.node.database import Database
from pipelines.deploy.node.inbox import Inbox
from pipelines.deploy.node.metrics import Metrics
from pipelines.deploy.node.settings import LimitSettings, NodeSettings, Rule
from pipelines.deploy.node.spool import Spool
from pipelines.deploy.web.app import create_app
from pipelines.inference.predictor import Predictor

HOST = "http://127.0.0.1:8080"
PATIENT = "CANARY^PATIENT"
PATIENT_ID = "CANARY-4711"
CANARIES = ("CANARY", "4711")


def tiny_predictor(root: Path, **settings: object) -> Predictor:
    """Make a predictor of random weights."""
    return Predictor.from_bundle(write_tiny_bundle(root, **settings))


@contextmanager
def web_client(predictors: dict[str, Predictor], **options: object) -> Iterator[TestClient]:
    """Give a client of an application; its event loop runs as long as the block."""
    app = create_app(predictors, **options)
    with one_torch_thread(), TestClient(app, base_url=HOST) as client:
        yield client


def says(answer, status: int, reason: str) -> bool:
    """Whether an answer is a refusal of this kind, in the one form that refusals have."""
    assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text
    assert set(answer.json()) == {"reason", "message"}
    assert answer.json()["message"].startswith("expected ")
    return True


class Node:
    """A node's inbox without what empties it."""

    def __init__(self, folder, **limits):
        limits = {"free_disk_mb": 0, **limits}
        rules = (Rule("all", "tiny", modality=("DX",)),)
        settings = NodeSettings(folder / "data", rules, limits=LimitSettings(**limits))
        self.folder = settings.data_dir
        self.spool = Spool(settings.data_dir)
        self.database = Database(settings.data_dir / "node.sqlite")
        self.inbox = Inbox(settings, self.spool, self.database, Metrics())

    def stored(self):
        return {path.read_bytes() for path in self.folder.rglob("*.dcm")}

    def close(self):
        self.database.close()
        self.spool.close()
