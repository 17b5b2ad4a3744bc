"""The log of a node: one line an event, without patient data, UIDs or paths of films.

A film is named by our own id, a sender by its AE title, an error by its reason code. The libraries
that speak DICOM print values of headers, so what they log is dropped.
"""

import logging
import re
import threading
import time
import warnings
from typing import TextIO

_LOGGER = logging.getLogger("pipelines.deploy.node")
_UNSAFE = re.compile(r"[^\w.:/+-]")
_TALKATIVE = ("pynetdicom", "pydicom", "dicomweb_client", "urllib3", "highdicom", "uvicorn")


def event(name: str, *, level: int = logging.INFO, **facts: object) -> None:
    """Log what happened.

    Args:
        name: One or two words with underscores, such as `film_queued`.
        level: Of `logging`.
        facts: Ids, counts, reason codes, by name; those that are None are left out. Characters that
            could forge a line become `_`.
    """
    said = [
        f"{key}={_UNSAFE.sub('_', str(value))}" for key, value in facts.items() if value is not None
    ]
    _LOGGER.log(level, "%s", " ".join([name, *said]))


def quiet_libraries() -> None:
    """Drop what libraries log and warn of: it quotes headers."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL)
    for module in ("pydicom", "pynetdicom", "highdicom"):
        warnings.filterwarnings("ignore", module=rf"{module}\b.*")


def say_nothing_else() -> None:
    """Drop warnings, and what a thread that breaks would print: both may quote headers."""
    warnings.simplefilter("ignore")
    threading.excepthook = lambda broken: event(
        "thread_broken", level=logging.ERROR, error=broken.exc_type.__name__
    )


def log_events(stream: TextIO) -> None:
    """Write events to a stream, each with its time in UTC.

    Args:
        stream: Such as standard error.
    """
    handler = logging.StreamHandler(stream)
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    _LOGGER.handlers = [handler]
    _LOGGER.propagate = False
    _LOGGER.setLevel(logging.INFO)
