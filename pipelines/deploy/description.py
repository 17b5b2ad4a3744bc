"""What an exported network carries, so that who runs it knows what to put in and what comes out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pipelines
from pipelines.deploy.packages.contents import FILES, as_text, carried_files
from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object, sha256
from pipelines.workflows.bundle import Bundle, class_names
from pipelines.workflows.merging import merge_key
from pipelines.workflows.reading import normal_id, read_document

_OPERATING_POINT = "operating_point.json"
# What is true of one machine only.
_LOCAL = frozenset({"bundle_root", "dataset_dir", "output_dir", "weights", "device"})


def describe(
    bundle: Bundle,
    weights: Path,
    *,
    overlays: Sequence[str],
    overrides: Mapping[str, object],
    precision: str = "float32",
) -> dict[str, str]:
    """Return texts by name: JSON, and files in base64.

    Args:
        bundle: The bundle.
        weights: The weights that are exported.
        overlays: Configurations merged after `inference.json`.
        overrides: Values by id.
        precision: In which the network computes: `float32`, or `int8` where that serves.

    Returns:
        `metadata.json` and `inference.json` of the bundle, the latter as merged but for what names
        folders of this machine; `operating_point.json` from beside the weights, if there is one;
        `classes.json`, the class names in order; `preprocessing.json`: what has to be done to a
        film before and around the network, where the weights came from, and the network's input
        and output; under `files/` what else prediction reads: the guard, a refiner.

    Raises:
        ConfigurationError: If the configuration cannot be read.
    """
    metadata = read_json_object(bundle.metadata)
    configuration = _merged(bundle, overlays, overrides)
    data_format = metadata.get("network_data_format")
    texts: dict[str, object] = {
        "metadata.json": metadata,
        "inference.json": configuration,
        "classes.json": list(class_names(weights.parent / _OPERATING_POINT, metadata)),
        "preprocessing.json": {
            "bundle": bundle.name,
            "bundle_version": metadata.get("version"),
            "plainfilm_version": pipelines.__version__,
            "weights_sha256": sha256(weights),
            "preprocessing": configuration.get("preprocessing"),
            "image_size": configuration.get("image_size"),
            "inferer": configuration.get("inferer"),
            "network_data_format": data_format,
            "precision": precision,
        },
    }
    operating_point = weights.parent / _OPERATING_POINT
    if operating_point.is_file():
        texts["operating_point.json"] = read_json_object(operating_point)
    files = carried_files(bundle.root, weights, configuration)
    return {
        **{name: json.dumps(each, indent=2, ensure_ascii=False) for name, each in texts.items()},
        **{FILES + name: as_text(path) for name, path in files.items()},
    }


def _merged(
    bundle: Bundle, overlays: Sequence[str], overrides: Mapping[str, object]
) -> dict[str, object]:
    merged: dict[str, object] = {}
    for path in (bundle.inference, *map(bundle.overlay, overlays)):
        document = read_document(path, path.name)
        if document.problems:
            raise ConfigurationError(Reason.CONFIGURATION, str(document.problems[0]))
        for key, value in document.content.items():
            merge_key(merged, key, value)
    for key, value in overrides.items():
        if normal_id(key) not in _LOCAL:
            merge_key(merged, key, value)
    return merged
