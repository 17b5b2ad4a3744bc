"""What puts an ensemble in the place of a bundle's network and weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigurationError, Reason
from pipelines.workflows.required import Kind

DESCRIPTION = "ensemble.json"
WEIGHTS = "model.pt"


def ensemble_settings(folder: Path, *, base: Kind) -> dict[str, object]:
    """Return values of a configuration by key.

    The members call the bundle's inferer themselves, each before its calibration, so that the
    ensemble as a whole is called plainly.

    Args:
        folder: What `plainfilm ensemble` has written.
        base: The configuration that they are for.

    Raises:
        ConfigurationError: If the folder holds no ensemble.
    """
    path = folder.resolve() / DESCRIPTION
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        preprocessing, size = content["preprocessing"], content["image_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the folder of an ensemble, '{folder.name}' has no {DESCRIPTION} that can be "
            "read; make one with `plainfilm ensemble`",
        ) from error
    place = "validate::" if base is Kind.TRAIN else ""
    return {
        "network_def": {
            "_target_": "pipelines.networks.ensemble.build_ensemble",
            "description": str(path),
        },
        "weights": str(path.parent / WEIGHTS),
        f"{place}inferer": {"_target_": "monai.inferers.SimpleInferer"},
        f"{place}preprocessing": preprocessing,
        **({} if size is None else {"image_size": size}),
    }
