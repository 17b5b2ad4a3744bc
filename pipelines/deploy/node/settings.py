"""What a node is told: one frozen dataclass a part of its configuration file, with its defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pipelines.deploy.node.traits import Traits

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of a connection, each a PEM file.

    Attributes:
        cert: Our own certificate; None at a destination that asks for none.
        key: Its private key.
        ca: Who must have signed the other side's certificate; None takes the system's list at a
            destination, and lets any client in at the node.
    """

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """A DICOM application that may send.

    Attributes:
        ae_title: Its calling AE title.
        host: IP address that it must call from; None lets it call from anywhere.
    """

    ae_title: str
    host: str | None = None


@dataclass(frozen=True, slots=True)
class DicomSettings:
    """How the node listens for DICOM.

    Attributes:
        ae_title: Our AE title; calls to another one are rejected.
        host: Address to listen on.
        port: 0 takes a free one.
        max_pdu: Bytes of the largest PDU that is taken.
        max_object_mb: Megabytes of the largest object that is taken.
        max_associations: Associations at the same time.
        timeout_seconds: Silence after which an association is ended.
        peers: Who may send; empty lets every application on this machine, which is why a node that
            listens elsewhere must name them.
        tls: Certificates; None listens without TLS.
    """

    ae_title: str = "PLAINFILM"
    host: str = LOOPBACK
    port: int = 11112
    max_pdu: int = 131_072
    max_object_mb: float = 300
    max_associations: int = 10
    timeout_seconds: float = 30
    peers: tuple[Peer, ...] = ()
    tls: Tls | None = None

    @property
    def max_object_bytes(self) -> int:
        """Bytes of the largest object that is taken."""
        return int(self.max_object_mb * 1e6)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The node's HTTP face.

    Attributes:
        enabled: Whether there is one.
        host: Address to listen on.
        port: 0 takes a free one.
        hosts: Names beside localhost that clients may call this machine; requests to others are
            refused, so that no page of elsewhere can reach it through a browser.
        max_film_mb: Megabytes of the largest film that is sent for an answer.
        waiting: Films that may wait behind the one that is being answered.
    """

    enabled: bool = True
    host: str = LOOPBACK
    port: int = 8080
    hosts: tuple[str, ...] = ()
    max_film_mb: float = 150
    waiting: int = 4


@dataclass(frozen=True, slots=True)
class StoreDestination:
    """Where results go by C-STORE.

    Attributes:
        name: What rules call it.
        ae_title: Its AE title.
        host: Its address.
        port: Its port.
        tls: Certificates; None sends without TLS.
    """

    name: str
    ae_title: str
    host: str
    port: int
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class StowDestination:
    """Where results go by STOW-RS.

    Attributes:
        name: What rules call it.
        url: Root of its DICOMweb service.
        headers: Environment variable that holds the value, by name of the HTTP header: a
            configuration file holds no secret.
        ca: Who must have signed its certificate; None takes the system's list.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    ca: Path | None = None


Destination: TypeAlias = StoreDestination | StowDestination


@dataclass(frozen=True, slots=True)
class Rule:
    """Which films a bundle answers, and what becomes of the answer. An empty condition holds.

    Attributes:
        name: What log and status call it.
        bundle: Name or path of the bundle.
        modality: Modalities, in capitals.
        body_part: BodyPartExamined, in capitals.
        view_position: View positions, in capitals.
        calling_ae: AE titles of senders, in capitals.
        dicom: Kinds of DICOM objects that are made: `sr`, `seg`, `sc`, `gsps`.
        destinations: Names of the destinations that they are sent to.
        overlays: Configurations merged after the bundle's `inference.json`.
        overrides: Values by id of the configuration, set last.
    """

    name: str
    bundle: str
    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    view_position: tuple[str, ...] = ()
    calling_ae: tuple[str, ...] = ()
    dicom: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    overrides: Mapping[str, object] = field(default_factory=dict)

    def takes(self, traits: Traits) -> bool:
        """Whether a film meets every condition, without regard to upper and lower case."""
        conditions = (
            (self.modality, traits.modality),
            (self.body_part, traits.body_part),
            (self.view_position, traits.view_position),
            (self.calling_ae, traits.calling_ae),
        )
        return all(not named or value.upper() in named for named, value in conditions)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How results are handed on.

    Attributes:
        attempts: How often a destination that answers may refuse an object before it is given up;
            one that does not answer is tried for as long as it takes.
        first_wait_seconds: Wait after the first failure; each further one doubles it.
        longest_wait_seconds: The most that is waited.
        timeout_seconds: How long a destination may take for an answer.
    """

    attempts: int = 8
    first_wait_seconds: float = 2
    longest_wait_seconds: float = 300
    timeout_seconds: float = 30


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How films are gathered for the network.

    Attributes:
        size: Films a batch; None takes the bundle's own `engine::batch_size`.
        wait_seconds: How long the first film waits for a batch to fill.
    """

    size: int | None = None
    wait_seconds: float = 0.2


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """When the node takes no more.

    Attributes:
        queue: Films that may wait.
        free_disk_mb: Megabytes of the disk that are kept free.
    """

    queue: int = 10_000
    free_disk_mb: float = 1_000


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long what is done with stays.

    Attributes:
        done_hours: Hours that a film and its results stay after the last one was delivered.
    """

    done_hours: float = 24


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """All that a node is told.

    Attributes:
        data_dir: Where everything that must survive a kill stands.
        rules: The first that takes a film decides.
        destinations: By name.
        dicom: How it listens for DICOM.
        http: Its HTTP face.
        delivery: How results are handed on.
        batch: How films are gathered.
        limits: When it takes no more.
        retention: How long what is done with stays.
    """

    data_dir: Path
    rules: tuple[Rule, ...]
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    dicom: DicomSettings = field(default_factory=DicomSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)

    def rule_for(self, traits: Traits) -> Rule | None:
        """Return the first rule that takes a film, or None."""
        return next((rule for rule in self.rules if rule.takes(traits)), None)
