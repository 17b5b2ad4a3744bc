"""What shapes a result, in a few words: two runs with equal fingerprints agree on every film."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

import pipelines
from pipelines.errors import Reason, RunError, refusal_behind
from pipelines.inference.engine import Engine
from pipelines.inference.folder import RadiographFolder, Transform, prepare
from pipelines.inference.journal import ENGINE, INPUT_FOLDER, PACKAGE, WEIGHTS
from pipelines.ingest.collect import Item
from pipelines.radiograph import Provenance, Radiograph


def fingerprint(
    dataset: RadiographFolder, *, engine: Engine, about: Mapping[str, object], bundle: str
) -> dict[str, str]:
    """Name everything that shapes a result.

    The preprocessing stands in it by what it does and not by how it is written: as the hash of
    what it makes of a fixed test film. That film also goes through the network, so that a chain or
    a network that does not fit fails here and not once for every input.

    Args:
        dataset: Input and preprocessing.
        engine: Network, weights and device.
        about: What else shapes the records: operating point, guard, options.
        bundle: Name and version.

    Returns:
        Short strings by name; folders and files only as hashes.

    Raises:
        RunError: If preprocessing or network cannot handle the test film.
    """
    with _fitting():
        image = test_image(dataset.transform)
        engine.try_out(image)
    return {
        PACKAGE: pipelines.__version__,
        "bundle": bundle,
        WEIGHTS: engine.weights_sha256,
        "operating point": _hash(json.dumps(about, sort_keys=True, default=str).encode()),
        "preprocessing": _hash(_bytes(image) + _reading(dataset)),
        ENGINE: f"{engine.name} on {engine.device.type}",
        INPUT_FOLDER: _hash(dataset.identity.encode("utf-8", "surrogateescape")),
    }


def test_image(transform: Transform) -> torch.Tensor:
    """Prepare a film that is the same every time.

    Args:
        transform: The chain that prepares films.

    Returns:
        float32, (channel, height, width).

    Raises:
        RunError: If the preprocessing cannot handle it.
    """
    with _fitting():
        return prepare(transform, _test_film(), item=Item(Path(), "test film")).image


@contextmanager
def _fitting() -> Iterator[None]:
    """Say of an error that preprocessing and network do not fit.

    Raises:
        RunError: In its place.
    """
    try:
        yield
    except Exception as error:
        refusal = refusal_behind(error)
        if refusal is not None:
            raise refusal from refusal.__cause__
        raise RunError(
            Reason.CONFIGURATION,
            f"expected preprocessing and network to fit together, got {type(error).__name__} "
            f"for a test film: {error}; check network_def and preprocessing in inference.json",
        ) from error


def _test_film() -> Radiograph:
    """A ramp with a step: any change of size, contrast or normalisation changes it."""
    ramp = np.linspace(0.0, 1.0, 384 * 512, dtype=np.float32).reshape(1, 384, 512)
    ramp[:, 96:288, 128:256] *= 0.5
    return Radiograph(ramp, (0.2, 0.2), Provenance(format="png", bits=16))


def _reading(dataset: RadiographFolder) -> bytes:
    """Say whether films are read at a lower resolution, which a film in memory cannot show."""
    chain = getattr(dataset.transform, "transforms", ())
    reduced = any(getattr(each, "least_size", None) is not None for each in chain)
    return b"reduced" if reduced else b""


def _bytes(tensor: torch.Tensor) -> bytes:
    image = tensor.numpy()
    return repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
