"""Objects in a store (S3, Google Cloud Storage), found by URL and fetched one at a time."""

import importlib.util
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pipelines.errors import ConfigurationError, InputError, Reason

SCHEMES: Mapping[str, tuple[str, str]] = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gs")}
"""Schemes of URLs: the package that opens each, and the extra of plainfilm that installs it."""

_TRIES = 4
_FIRST_WAIT_SECONDS = 0.5
_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "404"})

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and how it looked when it was listed; another look means another content.

    Attributes:
        url: Such as `s3://bucket/films/1.dcm`.
        size: Bytes.
        version: Its ETag, or the time of its last change where the store gives none.
    """

    url: str
    size: int
    version: str


class ObjectStore:
    """What lies behind URLs of one scheme.

    Args:
        scheme: One of `SCHEMES`.
        files: A file system of fsspec; None opens that of the scheme, with the credentials that its
            package finds by itself (environment, configuration files, role of the machine).
    """

    def __init__(self, scheme: str, *, files: Any = None) -> None:
        self._scheme = scheme
        self._given = files
        self._lock = threading.Lock()

    @cached_property
    def _files(self) -> Any:
        if self._given is not None:
            return self._given
        package, extra = SCHEMES[self._scheme]
        if importlib.util.find_spec(package) is None:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected the package {package} for {self._scheme}:// URLs, got none; "
                f"install plainfilm[{extra}]",
            )
        import fsspec

        return fsspec.filesystem(self._scheme)

    def open(self) -> None:
        """Open the store before threads use it.

        Raises:
            ConfigurationError: If the package that opens it is not installed.
        """
        with self._lock:
            _ = self._files

    def find(self, prefix: str) -> list[StoredObject]:
        """List all objects below a prefix, or the one object of that name.

        Args:
            prefix: A URL.

        Returns:
            The objects, in no order; empty if there are none.

        Raises:
            ConfigurationError: If the store cannot be listed.
        """
        self.open()
        try:
            found = _retried(lambda: self._files.find(prefix, detail=True, withdirs=False))
        except InputError as error:
            if error.reason is Reason.MISSING:
                return []
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a bucket that can be listed, got a refusal; check its name and who may "
                f"list it ({error})",
            ) from error
        return [
            self._object(f"{self._scheme}://{name}", about)
            for name, about in found.items()
            if about.get("type") != "directory" and not name.endswith("/")
        ]

    def info(self, url: str) -> StoredObject:
        """Look at an object.

        Args:
            url: Of the object.

        Returns:
            The object.

        Raises:
            InputError: MISSING or FETCH_FAILED.
        """
        about: Mapping[str, Any] = _retried(lambda: self._files.info(url))
        if about.get("type") == "directory":
            raise InputError(
                Reason.NOT_AN_IMAGE, "expected an object, got a prefix; list what is below it"
            )
        return self._object(url, about)

    def head(self, url: str, size: int) -> bytes:
        """Read the first bytes of an object.

        Args:
            url: Of the object.
            size: How many bytes at most.

        Returns:
            They, fewer if the object is shorter.

        Raises:
            InputError: MISSING or FETCH_FAILED.
        """
        content: bytes = _retried(lambda: self._files.cat_file(url, start=0, end=size))
        return content

    def fetch(self, url: str, target: Path) -> None:
        """Copy an object to a local file, whole.

        Args:
            url: Of the object.
            target: The file; its folder exists.

        Raises:
            InputError: MISSING or FETCH_FAILED.
        """
        _retried(lambda: self._files.get_file(url, str(target)))

    @staticmethod
    def _object(url: str, about: Mapping[str, Any]) -> StoredObject:
        version = next(
            (
                about[name]
                for name in ("ETag", "etag", "LastModified", "updated")
                if about.get(name)
            ),
            "",
        )
        return StoredObject(url, int(about.get("size") or 0), str(version))


def scheme_of(text: str) -> str | None:
    """Return the scheme of a URL; None for a path.

    Args:
        text: What was given as an input.

    Raises:
        ConfigurationError: If it is a URL of another scheme than those that can be read, or holds
            credentials.
    """
    scheme, mark, rest = text.partition("://")
    if not mark or not scheme.isalnum():
        return None
    if scheme != "file" and scheme not in SCHEMES:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a URL of file://, {', '.join(f'{name}://' for name in SCHEMES)}, got "
            f"'{scheme}://'; download the films first",
        )
    if "@" in rest.partition("/")[0]:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected a URL without credentials, got one with '@' before its first '/'; give them "
            "as the store's own tools take them, in the environment or its configuration file",
        )
    return scheme


def _retried(call: Callable[[], Result]) -> Result:
    """Call a store, again after a pause where it failed in passing.

    Raises:
        InputError: MISSING if there is no such object; FETCH_FAILED if it may not be read, or after
            four tries.
    """
    error: Exception | None = None
    for attempt in range(_TRIES):
        if error is not None:
            time.sleep(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * (0.5 + random.random()))
        try:
            return call()
        except FileNotFoundError:
            raise InputError(
                Reason.MISSING, "expected an object in the store, got none of that name"
            ) from None
        except PermissionError:
            raise InputError(
                Reason.FETCH_FAILED,
                "expected an object that may be read, got a refusal; check who may read it",
            ) from None
        except Exception as failed:  # noqa: BLE001 - each store has errors of its own
            error = failed
    raise InputError(
        Reason.FETCH_FAILED,
        f"expected an object that can be fetched, got {type(error).__name__} {_TRIES} times; "
        "run the same command again when the store answers",
    ) from None


def sized_head(head: bytes, size: int, target: Path) -> None:
    """Write the first bytes of an object into a file of its full size, whose rest is a hole.

    Args:
        head: The first bytes.
        size: Of the object.
        target: The file.
    """
    with target.open("wb") as file:
        file.write(head)
        file.truncate(max(size, len(head)))


def is_plain(name: str) -> bool:
    """Whether the name of an object is a path that leads nowhere else.

    Args:
        name: With `/`.
    """
    parts: Iterable[str] = name.split("/")
    return not any(part in {"", ".", ".."} for part in parts) and "\0" not in name
