"""The request that starts a job: `CreateTrainingJob` as SageMaker takes it."""

import json
from datetime import UTC, datetime
from typing import Any

from pipelines.deploy.sagemaker.hyperparameters import BUNDLE, OVERLAYS
from pipelines.deploy.sagemaker.job import JobSettings
from pipelines.deploy.sagemaker.metrics import metric_definitions
from pipelines.workflows.bundle import find_bundle

CHECKPOINTS = "/opt/ml/checkpoints"
_SECONDS = 3_600


def build_request(job: JobSettings, *, now: datetime | None = None) -> dict[str, Any]:
    """Return the request of a job.

    Args:
        job: What it is told.
        now: The time that its name ends with; by default the present.

    Returns:
        The arguments of `create_training_job`; no credentials are among them.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
    request: dict[str, Any] = {
        "TrainingJobName": f"{job.name}-{stamp}",
        "AlgorithmSpecification": {
            "TrainingImage": job.image,
            "TrainingInputMode": job.input_mode,
            "EnableSageMakerMetricsTimeSeries": True,
            "MetricDefinitions": metric_definitions(find_bundle(job.bundle)),
        },
        "RoleArn": job.role,
        "HyperParameters": _hyperparameters(job),
        "InputDataConfig": [_channel(job, name) for name in job.channels],
        "OutputDataConfig": _given(S3OutputPath=job.output, KmsKeyId=job.encryption.output_key),
        "ResourceConfig": _given(
            InstanceType=job.instance.type,
            InstanceCount=job.instance.count,
            VolumeSizeInGB=job.instance.volume_gb,
            VolumeKmsKeyId=job.encryption.volume_key,
        ),
        "StoppingCondition": {"MaxRuntimeInSeconds": _in_seconds(job.max_runtime_hours)},
        "EnableNetworkIsolation": job.network.isolation,
        "EnableInterContainerTrafficEncryption": job.network.encrypt_traffic,
        "EnableManagedSpotTraining": job.max_wait_hours is not None,
        "Tags": [{"Key": key, "Value": value} for key, value in job.tags.items()],
    }
    if job.max_wait_hours is not None:
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = _in_seconds(job.max_wait_hours)
    if job.checkpoints is not None:
        request["CheckpointConfig"] = {"S3Uri": job.checkpoints, "LocalPath": CHECKPOINTS}
    if job.network.subnets:
        request["VpcConfig"] = {
            "SecurityGroupIds": [*job.network.security_groups],
            "Subnets": [*job.network.subnets],
        }
    return request


def _hyperparameters(job: JobSettings) -> dict[str, str]:
    """Every value as a string, as SageMaker takes them; the container reads JSON back."""
    named = {BUNDLE: job.bundle} | ({OVERLAYS: ",".join(job.overlays)} if job.overlays else {})
    return named | {key: _text(value) for key, value in job.hyperparameters.items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)  # a text that would be read as a number or a list


def _channel(job: JobSettings, name: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"{job.data}{name}/",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
        "InputMode": job.input_mode,
    }


def _given(**values: object) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _in_seconds(hours: float) -> int:
    return round(hours * _SECONDS)
