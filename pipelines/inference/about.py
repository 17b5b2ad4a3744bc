"""Which model gave an answer: what stands beside every answer, of a folder and of a single film."""

from pathlib import Path

import pipelines
from pipelines.files import read_json_object
from pipelines.inference.engine import Engine


def about_model(bundle_root: Path, engine: Engine) -> dict[str, object]:
    """Name bundle, version, weights and engine.

    Args:
        bundle_root: Folder of the bundle.
        engine: Network, weights and device; its weights are there.

    Returns:
        What `summary.json` says of the model. An exported file names the weights that it came
        from, as it says itself, and its own SHA-256 beside them.
    """
    metadata = read_json_object(bundle_root / "configs" / "metadata.json")
    origin = read_json_object(bundle_root / "models" / "exported.json")
    about: dict[str, object] = {
        "bundle": bundle_root.resolve().name,
        "bundle_version": str(metadata.get("version", "")),
        "weights_sha256": engine.weights_sha256,
        "plainfilm_version": pipelines.__version__,
        "engine": engine.name,
        "device": engine.device.type,
    }
    if origin:
        about["weights_sha256"] = origin.get("weights_sha256")
        about["exported_file_sha256"] = origin.get("file_sha256")
    return about
