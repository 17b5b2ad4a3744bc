"""What engines keep on this machine: converted networks, and which engine was the quickest.

It stands in `$XDG_CACHE_HOME/plainfilm`, else `~/.cache/plainfilm`, open to its owner alone, and
may be removed at any time.
"""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.files import read_json_object, sha256, write_json
from pipelines.unfinished import held_folder, scratch_until_end

_MOST_KEPT = 32
_WORK = ".converting-"
_SUFFIX = ".onnx"


def converted(key: str, write: Callable[[Path], None]) -> Path:
    """Return a converted network: the one that is kept, or a new one.

    Where nothing can be kept, it stands in a temporary folder until this process ends.

    Args:
        key: Of weights, network and versions.
        write: Writes it to a path, whole or not at all.

    Returns:
        The file. Its name holds the hash of its content, and the content was seen to have it.
    """
    folder = cache_folder()
    if folder is not None:
        found = _kept(folder, key)
        if found is not None:
            return found
        with suppress(OSError):  # a full disk, another user's folder: no error, only slower
            return _keep(folder, key, write)
    temporary = _temporary_folder()
    return _kept(temporary, key) or _keep(temporary, key, write)


def remember(key: str, choice: Mapping[str, Any]) -> None:
    """Keep a choice, where anything can be kept."""
    folder = cache_folder()
    if folder is not None:
        with suppress(OSError):
            write_json(folder / f"{key}.json", choice)
            _forget_oldest(folder, new=folder / f"{key}.json")


def remembered(key: str) -> dict[str, Any]:
    """Return a choice that was kept; without one, nothing."""
    folder = cache_folder()
    return {} if folder is None else read_json_object(folder / f"{key}.json")


def cache_folder() -> Path | None:
    """Return the folder, made if need be; None if we cannot write there, or others can too."""
    try:
        base = os.environ.get("XDG_CACHE_HOME", "")
        place = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
        folder = place / "plainfilm"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    others = stat.S_IMODE(status.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    is_ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return folder if is_ours and not others and os.access(folder, os.W_OK | os.X_OK) else None


def _kept(folder: Path, key: str) -> Path | None:
    for path in sorted(folder.glob(f"{key}-*{_SUFFIX}")):
        with suppress(OSError):
            if path.stem == f"{key}-{sha256(path)}":
                path.touch()  # the next to be forgotten is the one that was not used for longest
                return path
            path.unlink()
    return None


def _keep(folder: Path, key: str, write: Callable[[Path], None]) -> Path:
    with held_folder(folder, _WORK) as work:
        made = work / f"network{_SUFFIX}"
        write(made)
        path = folder / f"{key}-{sha256(made)}{_SUFFIX}"
        made.replace(path)
    _forget_oldest(folder, new=path)
    return path


def _forget_oldest(folder: Path, *, new: Path) -> None:
    """Remove what was not used for longest, never the new one, whatever the clock says of it."""
    others = [path for path in folder.glob(f"*{new.suffix}") if path != new]
    others.sort(key=lambda path: path.stat().st_mtime_ns)
    for path in others[: max(0, len(others) + 1 - _MOST_KEPT)]:
        path.unlink(missing_ok=True)


@cache
def _temporary_folder() -> Path:
    return scratch_until_end()
