"""What goes to a worker and what comes back: a few films, and all that became of them.

Both are packed into bytes, so that Ray never sees a file name, neither in its logs nor in the
messages of its errors.
"""

import pickle
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.inference.journal import Stamp
from pipelines.ingest.collect import Item
from pipelines.predictions import Prediction, Refusal

_LEVEL = 1
"""Of zlib: paths shrink to a tenth, pictures are packed already."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a worker needs to predict as the driver would.

    Attributes:
        bundle: Name or path, or an exported file, as it was given.
        folder: Working folder of the driver, which relative paths are relative to.
        overrides: Values by id of the configuration.
        overlays: Configurations merged after `inference.json`.
        cores: How many of a machine's cores a worker takes.
        fingerprint: What shapes a result; what the worker has opened must have the same.
    """

    bundle: str
    folder: Path
    overrides: Mapping[str, object]
    overlays: tuple[str, ...]
    cores: int = 1
    fingerprint: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """Films that a worker predicts in one go.

    Attributes:
        films: Each with its number.
        pictures: Whether their thumbnails are wanted.
    """

    films: tuple[tuple[int, Item], ...]
    pictures: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the films of a block.

    Attributes:
        records: Each film's number, how its file looked before it was read, and its record.
        files: What was written of them, by path below the output.
        trouble: Why nothing can be predicted by this worker; it ends the run.
    """

    records: Sequence[tuple[int, Stamp, Prediction | Refusal]] = ()
    files: Mapping[str, bytes] | None = None
    trouble: BaseException | None = None


def packed(value: object) -> bytes:
    """Return a value as bytes that hold no readable word."""
    return zlib.compress(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), _LEVEL)


def unpacked(content: bytes) -> Any:
    """Return what `packed` was given; only ever of bytes that this run has made."""
    return pickle.loads(zlib.decompress(content))
