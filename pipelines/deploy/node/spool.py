"""Where films and results lie on disk, under ids of our own: nothing of a header is in a path."""

import fcntl
import os
import secrets
import shutil
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason

_INCOMING = ".incoming-"
_ID_BYTES = 8
_FOR_ITS_OWNER, _FOR_OTHERS = 0o700, 0o077


class Spool:
    """The folders below `data_dir`.

        films/<id>.dcm      waits, or is done and waits for the end of its retention
        unmatched/<id>.dcm  no rule takes it
        failed/<id>.dcm     could not be predicted
        results/<id>/       what was found: prediction.json and the DICOM objects
        work/               scratch of the prediction, cleared at each start

    Args:
        root: `data_dir`; made if missing, closed to all but its owner. One process may use it.

    Raises:
        ConfigurationError: If it cannot be made, or another process uses it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results = root / "results"
        self.work = root / "work"
        try:
            root.mkdir(parents=True, exist_ok=True, mode=_FOR_ITS_OWNER)
            if root.stat().st_mode & _FOR_OTHERS:
                root.chmod(_FOR_ITS_OWNER)
            self._lock: int | None = _locked(root / "lock")
            for folder in self.film_folders():
                folder.mkdir(exist_ok=True)
            self.results.mkdir(exist_ok=True)
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir()
        except BlockingIOError:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a data_dir of its own, got one that another node is using; "
                "stop that node or name another data_dir",
            ) from None
        except OSError as error:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected a data_dir that can be written, got {error.strerror!r}; "
                "name another one or make room",
            ) from None

    @staticmethod
    def new_id() -> str:
        """Return an id for a film that says nothing about it."""
        return secrets.token_hex(_ID_BYTES)

    def film_folders(self) -> list[Path]:
        """Return the folders that hold films."""
        return [self.root / name for name in ("films", "unmatched", "failed")]

    def film(self, identifier: str, folder: str = "films") -> Path:
        """Return the path of a film in one of the folders."""
        return self.root / folder / f"{identifier}.dcm"

    def incoming(self, identifier: str) -> Path:
        """Return the path of a film that is not ours yet."""
        return self.root / "films" / f"{_INCOMING}{identifier}.dcm"

    def keep(self, identifier: str) -> Path:
        """Make an incoming film durable under its own name.

        Returns:
            Its path; its bytes and its name have reached the disk.
        """
        incoming, kept = self.incoming(identifier), self.film(identifier)
        sync_file(incoming)
        incoming.replace(kept)
        sync_folder(kept.parent)
        return kept

    def move(self, identifier: str, folder: str) -> None:
        """Bring a film into a folder, wherever it lies."""
        target = self.film(identifier, folder)
        found = self.find(identifier)
        if found is not None and found != target:
            found.replace(target)
            sync_folder(target.parent)

    def find(self, identifier: str) -> Path | None:
        """Return where a film lies, or None."""
        paths = (self.film(identifier, folder.name) for folder in self.film_folders())
        return next((path for path in paths if path.is_file()), None)

    def remove(self, identifier: str) -> None:
        """Remove a film and its results."""
        for folder in self.film_folders():
            self.film(identifier, folder.name).unlink(missing_ok=True)
        shutil.rmtree(self.results / identifier, ignore_errors=True)

    def clear_strangers(self, known: set[str]) -> None:
        """Remove what a killed process left half-done, and results of films that are not known.

        Args:
            known: Ids of the films that are in the database.
        """
        for path in (self.root / "films").glob(f"{_INCOMING}*"):
            path.unlink()
        for path in self.results.iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    def strangers(self, known: set[str]) -> list[Path]:
        """Return films that are not known: of a database that is gone or older than they are.

        Args:
            known: Ids of the films that are in the database.
        """
        found = (path for folder in self.film_folders() for path in sorted(folder.glob("*.dcm")))
        return [
            path
            for path in found
            if path.is_file() and path.stem not in known and not path.name.startswith(_INCOMING)
        ]

    def free_bytes(self) -> int:
        """Return how much room the disk has left."""
        return shutil.disk_usage(self.root).free

    def close(self) -> None:
        """Let another process use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def sync_file(path: Path) -> None:
    """Wait until the bytes of a file have reached the disk."""
    with path.open("rb") as written:
        os.fsync(written.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder have reached the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
