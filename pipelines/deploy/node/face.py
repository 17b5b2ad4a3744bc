"""What the HTTP face of a node sees of it: settings, the inbox, films, status and counters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from pipelines.deploy.node.films import Films
from pipelines.deploy.node.inbox import Inbox
from pipelines.deploy.node.settings import NodeSettings


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How the node is; nothing of any patient.

    Attributes:
        ae_title: What it is called.
        dicom_port: Where it listens for DICOM.
        seconds_up: Since it started.
        films: Number of films by state.
        waiting_objects: Objects that wait for delivery, by destination.
        undelivered_objects: Objects that were given up, by destination.
        away: Reason code of destinations whose last delivery failed, by name.
        free_disk_mb: Room on the disk.
    """

    ae_title: str
    dicom_port: int
    seconds_up: float
    films: Mapping[str, int]
    waiting_objects: Mapping[str, int]
    undelivered_objects: Mapping[str, int]
    away: Mapping[str, str]
    free_disk_mb: float


@dataclass(frozen=True, slots=True)
class NodeView:
    """What a running node hands to its HTTP face.

    Attributes:
        settings: All that it was told.
        inbox: Takes films.
        films: Tells what became of them.
        status: Tells how the node is now.
        metrics: Registry of its counters; its gauges are set when it is asked for.
    """

    settings: NodeSettings
    inbox: Inbox
    films: Films
    status: Callable[[], NodeStatus]
    metrics: Callable[[], CollectorRegistry]
