"""What a job is told: one frozen dataclass a part of its file, with its defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field

CHANNELS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Instance:
    """The machines of a job.

    Attributes:
        type: Their type, such as `ml.g5.xlarge`.
        count: How many.
        volume_gb: Room for films, model and checkpoints on each, in GB.
    """

    type: str
    count: int = 1
    volume_gb: int = 50


@dataclass(frozen=True, slots=True)
class Network:
    """How a job is joined to the network.

    Attributes:
        subnets: Of the private network that it runs in; without them it runs in none.
        security_groups: Of that network.
        isolation: Whether the container can reach nothing; films and model pass all the same.
        encrypt_traffic: Whether what instances say to each other is encrypted.
    """

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    isolation: bool = True
    encrypt_traffic: bool = False


@dataclass(frozen=True, slots=True)
class Encryption:
    """KMS keys, by ARN, id or alias; None takes the account's own.

    Attributes:
        volume_key: For the disks of the instances.
        output_key: For model and output in the bucket.
    """

    volume_key: str | None = None
    output_key: str | None = None


@dataclass(frozen=True, slots=True)
class JobSettings:
    """All that a job is told.

    Attributes:
        name: Beginning of its name; the time is added.
        role: ARN of the role that it runs as.
        image: The container's image.
        bundle: What is trained.
        data: S3 URI of the folder that holds the channels.
        output: S3 URI of the folder for model and output.
        instance: The machines.
        max_runtime_hours: Hours after which it is stopped.
        overlays: Configurations merged after the bundle's `train.json`.
        hyperparameters: Values by key of the configuration.
        channels: Folders below `data`, each a channel.
        input_mode: `File` copies the films first, `FastFile` reads them from the bucket.
        checkpoints: S3 URI for what must outlive an instance; None keeps nothing.
        max_wait_hours: With spot instances: hours that it may take with all waiting; None takes
            instances on demand.
        network: How it is joined to the network.
        encryption: Keys.
        tags: By key.
        region: Where; None leaves it to the environment.
    """

    name: str
    role: str
    image: str
    bundle: str
    data: str
    output: str
    instance: Instance
    max_runtime_hours: float = 24
    overlays: tuple[str, ...] = ()
    hyperparameters: Mapping[str, object] = field(default_factory=dict)
    channels: tuple[str, ...] = ("train", "val")
    input_mode: str = "File"
    checkpoints: str | None = None
    max_wait_hours: float | None = None
    network: Network = field(default_factory=Network)
    encryption: Encryption = field(default_factory=Encryption)
    tags: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
