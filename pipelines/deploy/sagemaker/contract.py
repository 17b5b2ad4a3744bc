"""What SageMaker tells a training container: folders, hyperparameters, machines.

References:
    Amazon SageMaker developer guide: How Amazon SageMaker provides training information, Amazon
    SageMaker training storage folders; the environment of `sagemaker-training-toolkit`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.deploy.sagemaker.hosts import Hosts
from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object
from pipelines.workflows.machines import MASTER_PORT
from pipelines.workflows.reading import SEPARATOR, refuse_constant

BASE_VARIABLE = "SAGEMAKER_BASE_DIR"
"""Environment variable that names another base folder than /opt/ml, as the toolkit of SageMaker."""

BASE = Path("/opt/ml")
_CHANNEL = "SM_CHANNEL_"
_OF_SDK = "sagemaker_"
"""Hyperparameters of this prefix are SageMaker's own."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a training container was told.

    Attributes:
        base: `/opt/ml`, or what stands for it.
        channels: Folder of each channel, by name in lower case.
        hyperparameters: Values by name.
        hosts: The machines of the job.
        gpus: GPUs of this machine; None where nothing tells.
        port: Where the first machine listens for the others.
        model_dir: What stands here becomes `model.tar.gz`.
        checkpoint_dir: What stands here outlives the machine, where the job says so.
        output_data_dir: What stands here becomes `output.tar.gz`.
    """

    base: Path
    channels: Mapping[str, Path]
    hyperparameters: Mapping[str, object]
    hosts: Hosts
    model_dir: Path
    checkpoint_dir: Path
    output_data_dir: Path
    gpus: int | None = None
    port: int = MASTER_PORT

    @property
    def failure(self) -> Path:
        """Where the reason of a failure is written."""
        return failure_file(self.base)

    @property
    def workspace(self) -> Path:
        """A folder of this machine for what joins the channels; not kept."""
        return self.base / "plainfilm"


def base_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder that SageMaker's folders stand in.

    Args:
        environment: Variables of the process.
    """
    return Path(environment.get(BASE_VARIABLE) or BASE)


def failure_file(base: Path) -> Path:
    """Return the file whose beginning SageMaker shows as the reason of a failure."""
    return base / "output" / "failure"


def read_contract(environment: Mapping[str, str]) -> Contract:
    """Read what the container was told, from its environment and the files below /opt/ml.

    Args:
        environment: Variables of the process; what they leave out, the files say.

    Returns:
        The contract; folders in it need not exist yet.

    Raises:
        ConfigurationError: If a variable holds no JSON, or this host is none of the job's.
    """
    base = base_folder(environment)

    def folder(variable: str, default: str) -> Path:
        return Path(environment.get(variable) or base / default)

    return Contract(
        base=base,
        channels=_channels(base, environment),
        hyperparameters=_hyperparameters(base, environment),
        hosts=_hosts(base, environment),
        model_dir=folder("SM_MODEL_DIR", "model"),
        checkpoint_dir=folder("SM_CHECKPOINT_DIR", "checkpoints"),
        output_data_dir=folder("SM_OUTPUT_DATA_DIR", "output/data"),
        gpus=_number(environment, "SM_NUM_GPUS"),
        port=_number(environment, "MASTER_PORT") or MASTER_PORT,
    )


def plain_key(name: str) -> str:
    """Write a key in MONAI's way: `train.trainer.max_epochs` as `train::trainer::max_epochs`."""
    return name.replace("#", SEPARATOR).replace(".", SEPARATOR)


def _channels(base: Path, environment: Mapping[str, str]) -> dict[str, Path]:
    data = base / "input" / "data"
    below = sorted(data.iterdir()) if data.is_dir() else []
    found = {path.name.casefold(): path for path in below if path.is_dir()}
    told = {
        name.removeprefix(_CHANNEL).casefold(): Path(value)
        for name, value in environment.items()
        if name.startswith(_CHANNEL) and value
    }
    return found | told


def _hyperparameters(base: Path, environment: Mapping[str, str]) -> dict[str, object]:
    given = _told(environment, "SM_HPS", None)
    if given is None:
        given = read_json_object(base / "input" / "config" / "hyperparameters.json")
    if not isinstance(given, dict):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected names with values in SM_HPS, got {type(given).__name__}; write JSON",
        )
    return {
        str(name): _value(value) for name, value in given.items() if not name.startswith(_OF_SDK)
    }


def _value(given: object) -> object:
    """What a string stands for: every value comes as one, the SDK writes JSON into it."""
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given, parse_constant=refuse_constant)
    except ValueError:
        return given


def _hosts(base: Path, environment: Mapping[str, str]) -> Hosts:
    config = read_json_object(base / "input" / "config" / "resourceconfig.json")
    names = _told(environment, "SM_HOSTS", config.get("hosts"))
    current = environment.get("SM_CURRENT_HOST") or config.get("current_host")
    if names is None and current is None:
        return Hosts()
    listed = [str(name) for name in names] if isinstance(names, list) else []
    interface = environment.get("SM_NETWORK_INTERFACE_NAME") or config.get("network_interface_name")
    return Hosts.of(listed, str(current), interface=str(interface or ""))


def _number(environment: Mapping[str, str], variable: str) -> int | None:
    """Return what a variable holds as a whole number, if it is set.

    Raises:
        ConfigurationError: If it is none.
    """
    given = environment.get(variable)
    if not given:
        return None
    if not given.isdecimal():
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected a number in the variable {variable}, got {given!r}"
        )
    return int(given)


def _told(environment: Mapping[str, str], variable: str, default: object) -> object:
    """Return what a variable holds as JSON.

    Raises:
        ConfigurationError: If it is no JSON.
    """
    given = environment.get(variable)
    if not given:
        return default
    try:
        return json.loads(given)
    except ValueError:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected JSON in the variable {variable}, got another text"
        ) from None
