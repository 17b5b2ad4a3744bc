"""Sending the request of a job: the one place that needs boto3, credentials and a network."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.deploy.sagemaker.secrets import without_secrets
from pipelines.errors import ConfigurationError, Reason, RunError


def start_job(request: Mapping[str, Any], *, region: str | None = None) -> str:
    """Start a training job.

    Credentials are found by boto3 where it always looks, and are neither written nor told.

    Args:
        request: From `build_request`.
        region: Where; None takes that of the environment.

    Returns:
        The job's ARN.

    Raises:
        ConfigurationError: If boto3 is not installed, or finds no region or no credentials.
        RunError: If SageMaker refuses the job, or cannot be reached.
    """
    try:
        import boto3
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            NoRegionError,
        )
    except ImportError:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected boto3 to be installed, it is not; pip install 'plainfilm[sagemaker]', or use "
            "--dry-run",
        ) from None
    session = boto3.Session(region_name=region)
    try:
        answer = session.client("sagemaker").create_training_job(**request)
    except (NoCredentialsError, NoRegionError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected credentials and a region that boto3 finds, got: {error}",
        ) from None
    except (BotoCoreError, ClientError) as error:
        told = without_secrets(str(error), _keys(session))
        raise RunError(
            Reason.DESTINATION_REFUSED, f"expected SageMaker to take the job, got: {told}"
        ) from None
    return str(answer["TrainingJobArn"])


def _keys(session: Any) -> Iterator[str]:
    credentials = session.get_credentials()
    frozen = credentials.get_frozen_credentials() if credentials is not None else ()
    return (each for each in frozen if each)
