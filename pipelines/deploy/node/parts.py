"""Parts of a node's configuration that stand alone."""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.deploy.node.section import (
    Section,
    WrongValueError,
    ae_title,
    existing_file,
    flag,
    host,
    number,
    text,
    variable,
    whole,
    words,
)
from pipelines.deploy.node.settings import (
    BatchSettings,
    DeliverySettings,
    HttpSettings,
    LimitSettings,
    Peer,
    RetentionSettings,
    StowDestination,
)

PORTS = whole(0, 65_535)
_DAY = 86_400.0


def read_peer(section: Section) -> Peer:
    """Read one peer."""
    peer = Peer(
        ae_title=section.required("ae_title", ae_title, ""),
        host=section.value("host", ip_address, None),
    )
    section.end()
    return peer


def read_http(section: Section) -> HttpSettings:
    """Read how the HTTP face listens."""
    default = HttpSettings()
    settings = HttpSettings(
        enabled=section.value("enabled", flag, default.enabled),
        host=section.value("host", host, default.host),
        port=section.value("port", PORTS, default.port),
        hosts=section.value("hosts", words(), default.hosts),
        max_film_mb=section.value("max_film_mb", number(0.001, 300), default.max_film_mb),
        waiting=section.value("waiting", whole(1, 100), default.waiting),
    )
    if not settings.hosts and not is_loopback(settings.host):
        section.complain(
            "host",
            "expected 127.0.0.1 where no hosts are named; say how clients may call this machine: "
            "hosts: [NAME]",
        )
    section.end()
    return settings


def read_delivery(section: Section) -> DeliverySettings:
    """Read how results are handed on."""
    default = DeliverySettings()
    seconds = number(0.05, _DAY)
    settings = DeliverySettings(
        attempts=section.value("attempts", whole(1, 1_000), default.attempts),
        first_wait_seconds=section.value("first_wait_seconds", seconds, default.first_wait_seconds),
        longest_wait_seconds=section.value(
            "longest_wait_seconds", seconds, default.longest_wait_seconds
        ),
        timeout_seconds=section.value("timeout_seconds", seconds, default.timeout_seconds),
    )
    section.end()
    return settings


def read_batch(section: Section) -> BatchSettings:
    """Read how films are gathered."""
    default = BatchSettings()
    settings = BatchSettings(
        size=section.value("size", whole(1, 1_024), default.size),
        wait_seconds=section.value("wait_seconds", number(0, 3_600), default.wait_seconds),
    )
    section.end()
    return settings


def read_limits(section: Section) -> LimitSettings:
    """Read when the node takes no more."""
    default = LimitSettings()
    settings = LimitSettings(
        queue=section.value("queue", whole(1, 10_000_000), default.queue),
        free_disk_mb=section.value("free_disk_mb", number(0, 1e9), default.free_disk_mb),
    )
    section.end()
    return settings


def read_retention(section: Section) -> RetentionSettings:
    """Read how long what is done with stays."""
    default = RetentionSettings()
    settings = RetentionSettings(
        done_hours=section.value("done_hours", number(0, 876_000), default.done_hours)
    )
    section.end()
    return settings


def read_stow(section: Section, name: str, folder: Path) -> StowDestination:
    """Read where results go by STOW-RS, but not its end.

    Args:
        section: What is said of it.
        name: What rules call it.
        folder: What relative paths start from.
    """
    headers = section.section("headers")
    destination = StowDestination(
        name=name,
        url=section.required("url", web_root, ""),
        headers={key: headers.value(key, variable, "", secret=True) for key in headers.names()},
        ca=section.value("ca", existing_file(folder), None),
    )
    address = urlsplit(destination.url)
    if destination.headers and address.scheme == "http" and not is_loopback(address.hostname or ""):
        section.complain(
            "url",
            "expected https where headers are sent, which may hold a secret, got http to another "
            "machine; use https, or leave headers out",
        )
    return destination


def is_loopback(address: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def ip_address(given: object) -> str | None:
    """Parse an IP address: names may change what they stand for.

    Raises:
        WrongValueError: If it is none.
    """
    try:
        return str(ipaddress.ip_address(text(given)))
    except ValueError:
        raise WrongValueError("an IP address") from None


def web_root(given: object) -> str:
    """Parse the root of a web service.

    Raises:
        WrongValueError: If it is none, or holds a password.
    """
    parts = urlsplit(text(given))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise WrongValueError("an http or https URL without a user; name headers for that")
    return str(given).rstrip("/")


def anything(given: object) -> object:
    """Take a value as it is: the bundle's own check knows what it may be."""
    return given
