"""The file of a SageMaker job: every mistake at its line, and a request that SageMaker takes."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pipelines.cli import main
from pipelines.deploy.sagemaker.configuration import check_job, is_job, read_job
from pipelines.deploy.sagemaker.contract import read_contract
from pipelines.deploy.sagemaker.hyperparameters import read_hyperparameters
from pipelines.deploy.sagemaker.launch import start_job
from pipelines.deploy.sagemaker.request import build_request
from pipelines.errors import ConfigurationError, RunError

KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEBYaDK3" + "kR7pQ" * 24

WHOLE = """
name: chest-films
region: eu-central-1
role: arn:aws:iam::123456789012:role/plainfilm-training
image: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/plainfilm:0.1.0-gpu
bundle: pneumonia_classification
overlays: [resnet50]
hyperparameters:
  train.trainer.max_epochs: 12
  classes: [NORMAL, PNEUMONIA]
data: s3://my-films/chest
channels: [train, val, test]
input_mode: FastFile
output: s3://my-films/models/
checkpoints: s3://my-films/checkpoints/chest
instance: {type: ml.g5.xlarge, count: 1, volume_gb: 100}
max_runtime_hours: 12
spot: {max_wait_hours: 24}
network:
  subnets: [subnet-0a1b2c3d]
  security_groups: [sg-0a1b2c3d]
  encrypt_traffic: true
encryption:
  volume_key: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
  output_key: alias/films
tags: {project: films, cost centre: 17}
"""
LEAST = """
role: arn:aws:iam::123456789012:role/service-role/plainfilm
image: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/plainfilm:0.1.0-cpu
bundle: fracture_autoencoder
data: s3://my-films
output: s3://my-films/out
instance: {type: ml.m5.xlarge}
"""
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, "utf-8")
    return path


def validate(request):
    """Hold a request against botocore's own model of the service."""
    from botocore.session import Session
    from botocore.validate import ParamValidator

    model = Session().get_service_model("sagemaker").operation_model("CreateTrainingJob")
    report = ParamValidator().validate(request, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_a_whole_file_becomes_a_request(tmp_path):
    request = build_request(read_job(write(tmp_path, WHOLE)), now=NOW)
    validate(request)
    assert request["TrainingJobName"] == "chest-films-20260304-050607"
    assert request["HyperParameters"] == {
        "bundle": "pneumonia_classification",
        "overlays": "resnet50",
        "train.trainer.max_epochs": "12",
        "classes": '["NORMAL", "PNEUMONIA"]',
    }
    sources = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request["InputDataConfig"]
    }
    assert sources == {name: f"s3://my-films/chest/{name}/" for name in ("train", "val", "test")}
    assert {channel["InputMode"] for channel in request["InputDataConfig"]} == {"FastFile"}
    assert request["CheckpointConfig"] == {
        "S3Uri": "s3://my-films/checkpoints/chest/",
        "LocalPath": "/opt/ml/checkpoints",
    }
    assert request["EnableManagedSpotTraining"]
    assert request["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 43_200,
        "MaxWaitTimeInSeconds": 86_400,
    }
    assert request["ResourceConfig"]["VolumeKmsKeyId"].startswith("arn:aws:kms:")
    assert request["OutputDataConfig"]["KmsKeyId"] == "alias/films"
    assert request["VpcConfig"]["Subnets"] == ["subnet-0a1b2c3d"]
    assert request["EnableNetworkIsolation"]
    assert request["EnableInterContainerTrafficEncryption"]
    assert {"Key": "cost centre", "Value": "17"} in request["Tags"]
    names = [each["Name"] for each in request["AlgorithmSpecification"]["MetricDefinitions"]]
    assert "validation:auroc" in names
    assert len(names) <= 40


def test_the_container_reads_back_what_the_request_says(tmp_path):
    request = build_request(read_job(write(tmp_path, WHOLE)), now=NOW)
    told = read_contract({"SM_HPS": json.dumps(request["HyperParameters"])}).hyperparameters
    wanted = read_hyperparameters(told)
    assert wanted.overlays == ("resnet50",)
    assert wanted.overrides == {
        "train::trainer::max_epochs": 12,
        "classes": ["NORMAL", "PNEUMONIA"],
    }


def test_what_is_left_out_has_plain_defaults(tmp_path):
    request = build_request(read_job(write(tmp_path, LEAST)), now=NOW)
    validate(request)
    assert request["TrainingJobName"].startswith("plainfilm-")
    assert [c["ChannelName"] for c in request["InputDataConfig"]] == ["train", "val"]
    assert not request["EnableManagedSpotTraining"]
    assert request["EnableNetworkIsolation"]
    assert not {"VpcConfig", "CheckpointConfig"} & request.keys()


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("name: chest-films", f"name: {'a-' * 20}b", 2, "at most 40 letters and digits"),
        ("region: eu", "regoin: eu", 3, "did you mean 'region'?"),
        ("eu-central-1\nrole", "Frankfurt\nrole", 3, "a region, such as eu-central-1"),
        ("arn:aws:iam::123456789012:role/", "", 4, "the ARN of a role"),
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com/plainfilm", "plainfilm", 5, "an image"),
        ("bundle: pneumonia", "bundle: pnuemonia", 6, "did you mean 'pneumonia_classification'?"),
        ("[resnet50]", "[resnet5]", 7, "did you mean 'resnet50'?"),
        ("max_epochs", "max_epoch", 9, "did you mean 'max_epochs'?"),
        ("classes: [", "output_dir: [", 10, "it is the container's own"),
        ("classes: [", "bundle: [", 10, "it is a key of the file"),
        ("data: s3://my-films/chest", "data: my-films/chest", 11, "the S3 URI of a folder"),
        ("[train, val, test]", "[train, valid]", 12, "one or several of train, val, test"),
        ("[train, val, test]", "[val]", 12, "expected 'train' among the channels"),
        ("FastFile", "Pipe", 13, "one of File, FastFile"),
        ("checkpoints: s3", "checkpoint: s3", 15, "did you mean 'checkpoints'?"),
        ("checkpoints: s3://my-films/checkpoints/chest\n", "", 17, "expected checkpoints: s3://"),
        ("type: ml.g5.xlarge", "type: g5.xlarge", 16, "such as ml.g5.xlarge"),
        ("type: ml.g5.xlarge, ", "", 16, "expected the key 'type'"),
        ("volume_gb: 100", "volume_gb: 0", 16, "a whole number from 1 to 16384"),
        ("max_wait_hours: 24", "max_wait_hours: 2", 18, "at least max_runtime_hours, got 2 and 12"),
        ("{max_wait_hours: 24}", "{}", 18, "expected the key 'max_wait_hours'"),
        ("  security_groups: [sg-0a1b2c3d]\n", "", 20, "subnets and security_groups together"),
        ("[sg-0a1b2c3d]", "[0a1b2c3d]", 21, "ids of security groups"),
        ("encrypt_traffic: true", "encrypt_traffic: 1", 22, "true or false"),
        ("{project: films", "{project: [films]", 26, "a text"),
    ],
)
def test_a_mistake_is_named_at_its_line(tmp_path, old, new, line, said):
    assert old in WHOLE
    problems = check_job(write(tmp_path, WHOLE.replace(old, new)))
    found = next((problem for problem in problems if said in problem.message), None)
    assert found is not None, problems
    assert found.line in {line, line - 1, None}, str(found)
    with pytest.raises(ConfigurationError, match=r"job\.yaml"):
        read_job(tmp_path / "job.yaml")


@pytest.mark.parametrize(
    "planted",
    [
        f"role: {KEY_ID}",
        f"# {KEY_ID}",
        f"tags: {{owner: {SECRET}}}",
        f"hyperparameters: {{tracker: '{SECRET}'}}",
        f"# the token is {TOKEN}",
        "aws_secret_access_key: abc",
        "hyperparameters: {}\npassword: abc",
    ],
    ids=["key id", "in a comment", "secret", "hyperparameter", "token", "by its name", "password"],
)
def test_a_file_with_a_key_is_refused_and_the_key_is_not_shown(tmp_path, capsys, planted):
    path = write(tmp_path, f"{LEAST}\n{planted}\n")
    for arguments in (["check"], ["sagemaker", "launch", "--dry-run"], ["sagemaker", "launch"]):
        assert main([*arguments, str(path)]) == 2
        said = "".join(capsys.readouterr())
        assert "expected no key and no password in this file" in said
        assert not any(secret in said for secret in (KEY_ID, SECRET, TOKEN, "abc"))


def test_names_of_roles_keys_and_folders_are_no_secrets(tmp_path):
    text = LEAST.replace(
        "role/service-role/plainfilm", "role/AmazonSageMakerExecutionRole20260304abcD"
    )
    text = text.replace(
        "s3://my-films/out", "s3://my-films/Models2026/aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1"
    )
    assert check_job(write(tmp_path, text)) == []


def test_dry_run_shows_the_request_without_boto3_or_credentials(tmp_path):
    path = write(tmp_path, WHOLE)
    code = (
        "import sys\n"
        "sys.modules['boto3'] = sys.modules['botocore'] = None\n"
        "from pipelines.cli import main\n"
        f"status = main(['sagemaker', 'launch', {str(path)!r}, '--dry-run'])\n"
        "heavy = {'torch', 'monai', 'numpy', 'pydicom'} & {*sys.modules}\n"
        "sys.exit(str(heavy) if heavy else status)\n"
    )
    planted = {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=planted, capture_output=True, text=True, check=True
    )
    validate(json.loads(done.stdout))
    assert KEY_ID not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_several_instances_are_asked_for(tmp_path, capsys):
    path = write(tmp_path, WHOLE.replace("count: 1", "count: 2"))
    assert main(["sagemaker", "launch", str(path), "--dry-run"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["ResourceConfig"]["InstanceCount"] == 2
    assert said.err == ""


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    """Keys in the environment, and nothing of the machine's own."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
    ):
        monkeypatch.setenv(name, value)


def test_a_job_is_started_and_no_key_is_written(tmp_path, capsys, credentials, monkeypatch):
    import boto3
    from moto import mock_aws

    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, WHOLE)
    # moto puts keys of its own into the environment for as long as it stands in for AWS.
    with mock_aws(config={"core": {"mock_credentials": False}}):
        assert main(["sagemaker", "launch", str(path), "--debug"]) == 0
        service = boto3.client("sagemaker", region_name="eu-central-1")
        (job,) = service.list_training_jobs()["TrainingJobSummaries"]
        started = service.describe_training_job(TrainingJobName=job["TrainingJobName"])
    said = capsys.readouterr()
    assert started["TrainingJobArn"] in said.out
    assert started["HyperParameters"]["bundle"] == "pneumonia_classification"
    assert started["StoppingCondition"]["MaxWaitTimeInSeconds"] == 86_400
    assert started["RoleArn"] == "arn:aws:iam::123456789012:role/plainfilm-training"
    assert [each.name for each in tmp_path.iterdir()] == ["job.yaml"]
    for secret in (KEY_ID, SECRET, TOKEN):
        assert secret not in said.out + said.err


def test_what_the_service_says_is_told_without_keys(monkeypatch, tmp_path, credentials):
    import botocore.client
    from botocore.exceptions import ClientError

    def refuse(*_arguments, **_options):
        told = {"Error": {"Code": "SignatureDoesNotMatch", "Message": f"{KEY_ID} {SECRET} {TOKEN}"}}
        raise ClientError(told, "CreateTrainingJob")

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", refuse)
    request = build_request(read_job(write(tmp_path, LEAST)), now=NOW)
    with pytest.raises(RunError) as refused:
        start_job(request, region="eu-central-1")
    assert "SignatureDoesNotMatch" in str(refused.value)
    assert not any(secret in str(refused.value) for secret in (KEY_ID, SECRET, TOKEN))


def test_without_region_or_boto3_it_is_said_what_to_do(monkeypatch, tmp_path, capsys, credentials):
    path = write(tmp_path, LEAST)
    assert main(["sagemaker", "launch", str(path)]) == 2
    assert "a region that boto3 finds" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert main(["sagemaker", "launch", str(path)]) == 2
    assert "plainfilm[sagemaker]" in capsys.readouterr().err


def test_check_tells_a_job_from_a_node(tmp_path, capsys):
    path = write(tmp_path, WHOLE)
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "job.yaml: ok\n"
    node = tmp_path / "node.yaml"
    node.write_text(yaml.safe_dump({"data_dir": "x", "rules": [{"bundle": "x"}]}), "utf-8")
    assert not is_job(node)
    assert main(["check", str(path), str(node)]) == 2
    assert "node.yaml:" in capsys.readouterr().out
