"""How much one client may ask for."""

from dataclasses import dataclass

from pipelines.inference.settings import positive, whole_number
from pipelines.ingest.limits import MAX_FILE_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the HTTP face, beside those that the reader has for every file.

    What is received stays in memory until it has been read or stored. So clients can make the
    process hold the largest film times one more than may wait, and the largest object times the
    requests that may store.

    Attributes:
        film_bytes: Of one film that is sent for an answer; by default half of what the reader
            takes, and more than the largest film that it decodes has at 16 bits.
        object_bytes: Of one film that is stored.
        study_bytes: Of one request that stores films.
        waiting: Films that may wait behind the one that is being answered.
        storing: Requests that may store films at the same time.
        receiving_seconds: How long a client may take to send a film for an answer.
        storing_seconds: How long it may take to send and store a request's films.
        reading_seconds: How long a film may take to be read; None takes what `predict` lets it.
    """

    film_bytes: int = MAX_FILE_BYTES // 2
    object_bytes: int = MAX_FILE_BYTES
    study_bytes: int = 2_000_000_000
    waiting: int = 4
    storing: int = 2
    receiving_seconds: float = 60.0
    storing_seconds: float = 600.0
    reading_seconds: float | None = None

    def __post_init__(self) -> None:
        """Hold each number against its rule.

        Raises:
            ConfigurationError: If one breaks it.
        """
        for name in ("film_bytes", "object_bytes", "study_bytes", "waiting", "storing"):
            whole_number(f"http.{name}", getattr(self, name))
        for name in ("receiving_seconds", "storing_seconds", "reading_seconds"):
            if getattr(self, name) is not None:
                positive(f"http.{name}", getattr(self, name))
