"""OpenVINO and NNCF report their use to their makers over the network; here they do not."""

import sys

_SENDER = "openvino_telemetry"


def switch_off_telemetry() -> None:
    """Keep OpenVINO, its converter and NNCF from sending anything; call it before their import.

    All three send through the package `openvino_telemetry` and do without where it cannot be
    imported. Unlike a file in the home folder, which is how it is switched off for a user, this
    leaves no trace and holds for this process alone.
    """
    sys.modules.setdefault(_SENDER, None)  # type: ignore[arg-type]  # what import takes for absent
