"""The key that pseudonyms are made with: a small file that its owner keeps and hands to nobody.

Whoever has it can tell whose film is whose by trying identifiers; without it a pseudonym tells
nothing. With the same key, a patient has the same pseudonym in every run.
"""

import hashlib
import hmac
import os
import secrets
import stat
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason

FEWEST_BYTES = 32
"""Bytes of a key: as many as the digest has."""

_FEWEST_DIFFERENT = 8
_MOST_BYTES = 4096
_OTHERS = 0o077
_PSEUDONYM_DIGITS = 16
_MOST_DAYS = 3650


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """Makes names, UIDs and offsets of dates that are always the same for the same key.

    Attributes:
        secret: The key itself; it is not shown.
    """

    secret: bytes = field(repr=False)

    def name(self, kind: str, identifier: str) -> str:
        """Return a pseudonym such as `patient-3f0c9a71d2b4e865`.

        Args:
            kind: What is named: `patient`, `study`, `film`, `input`. The same identifier of another
                kind has another pseudonym.
            identifier: What identifies it; padding is left out.
        """
        return (
            f"{kind}-{self._digest(kind, identifier.strip(' ' + chr(0))).hex()[:_PSEUDONYM_DIGITS]}"
        )

    def uid(self, original: str) -> str:
        """Return a UID under 2.25 (PS3.5 B.2) in the place of another one.

        Args:
            original: The UID, or whatever stands in its place.
        """
        digest = self._digest("uid", original.strip(" " + chr(0)))
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"

    def days(self, patient: str) -> int:
        """Return by how many days the dates of a patient are moved back, 1 to 3650.

        Args:
            patient: PatientID, or the UID of the study where it is empty.
        """
        digest = self._digest("days", patient.strip(" " + chr(0)))
        return 1 + int.from_bytes(digest[:8], "big") % _MOST_DAYS

    def fingerprint(self) -> str:
        """Return what tells two keys apart without telling them."""
        return self._digest("fingerprint", "").hex()

    def _digest(self, kind: str, identifier: str) -> bytes:
        message = kind.encode() + b"\0" + identifier.encode("utf-8", "surrogatepass")
        return hmac.digest(self.secret, message, hashlib.sha256)


def open_key(path: Path) -> tuple[PseudonymKey, bool]:
    """Read a key, or make one where there is none.

    Args:
        path: The file; a new one is readable by its owner alone.

    Returns:
        The key, and whether it was made now.

    Raises:
        ConfigurationError: If others may read the file, it is too short or no file, or cannot be
            read or written.
    """
    made = not os.path.lexists(path)
    try:
        if made:
            _make(path)
        return PseudonymKey(_read(path)), made
    except OSError as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a file for the key that can be read and written, got {error.strerror!r}; "
            "choose another --key",
        ) from None


def _make(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(secrets.token_hex(FEWEST_BYTES) + "\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise


def _read(path: Path) -> bytes:
    # Of the open file, so that what is looked at is what is read; a pipe is not waited for.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as content:  # noqa: PTH123
        status = os.fstat(content.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refused("a regular file for the key, got something else; choose another --key")
        if status.st_mode & _OTHERS:
            raise _refused(
                "a key that its owner alone can read, got one that others may read or write; "
                "make a new one if they may have, else chmod 600 the file"
            )
        secret = content.read(_MOST_BYTES).strip()
    if len(secret) < FEWEST_BYTES or len(set(secret)) < _FEWEST_DIFFERENT:
        raise _refused(
            f"a key of at least {FEWEST_BYTES} random bytes, got a shorter or simpler one; "
            "name a file that does not exist, and one is made"
        )
    return secret


def _refused(rule: str) -> ConfigurationError:
    return ConfigurationError(Reason.CONFIGURATION, f"expected {rule}")
