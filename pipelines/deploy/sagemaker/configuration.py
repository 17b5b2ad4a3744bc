"""The file of a job: read, held against every rule at once, turned into settings."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pipelines.deploy.node.section import (
    Parse,
    Section,
    WrongValueError,
    flag,
    matching,
    number,
    text,
    whole,
    words,
)
from pipelines.deploy.sagemaker.hyperparameters import BUNDLE, OVERLAYS, TAKEN, read_hyperparameters
from pipelines.deploy.sagemaker.job import CHANNELS, Encryption, Instance, JobSettings, Network
from pipelines.deploy.sagemaker.secrets import lines_with_secrets
from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.workflows.problem import Problem, first_problems
from pipelines.workflows.reading import Document, read_document

MODES = ("File", "FastFile")

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_IMAGE = re.compile(r"[\w.-]+(?::\d+)?/[\w./-]+(?::[\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[^\s\\]*)?")
_NAME = re.compile(r"(?=.{1,40}\Z)[A-Za-z0-9](?:-?[A-Za-z0-9])*")
_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_ID = re.compile(r"[\w:/-]{1,2048}")
_SUBNET = re.compile(r"subnet-[0-9a-z]{1,32}")
_GROUP = re.compile(r"sg-[0-9a-z]{1,32}")
_MOST_HOURS = 28 * 24
_MOST_TAGS = 50
_LONGEST_TAG = 256
_MOST_HYPERPARAMETERS = 98
"""What SageMaker takes, less those that name bundle and overlays."""

_LONGEST_VALUE = 2_500
_OF_JOBS = frozenset({"role", "image", "instance", "hyperparameters", "checkpoints"})

_name = matching(_NAME, "at most 40 letters and digits, with single hyphens between them")
_role = matching(_ROLE, "the ARN of a role, arn:aws:iam::123456789012:role/NAME")
_image = matching(_IMAGE, "an image of a registry, REGISTRY/NAME:TAG")
_type = matching(_TYPE, "a type of instance, such as ml.g5.xlarge")
_region = matching(_REGION, "a region, such as eu-central-1")
_key = matching(_ID, "the ARN, id or alias of a KMS key")
_mode = matching(re.compile("|".join(MODES)), f"one of {', '.join(MODES)}")
_bucket = matching(_BUCKET, "the S3 URI of a folder, s3://BUCKET/FOLDER")


def is_job(path: Path) -> bool:
    """Whether a YAML file describes a job, by the keys that it has, rather than a node.

    Args:
        path: The file.
    """
    return bool(_OF_JOBS & read_document(path, path.name).content.keys())


def check_job(path: Path) -> list[Problem]:
    """Find every mistake in the file of a job, without importing what it names.

    Args:
        path: The YAML file.

    Returns:
        All problems; empty when there is none. A file with a key has no other: nothing is shown.
    """
    return _read(path)[1]


def read_job(path: Path) -> JobSettings:
    """Read the file of a job.

    Args:
        path: The YAML file.

    Returns:
        The settings.

    Raises:
        ConfigurationError: If anything in it is wrong; the message names the first problems.
    """
    settings, problems = _read(path)
    if problems:
        shown = first_problems([str(each) for each in problems], of=path.name)
        raise ConfigurationError(Reason.CONFIGURATION, shown)
    return settings


def _read(path: Path) -> tuple[JobSettings, list[Problem]]:
    document = read_document(path, path.name)
    document.problems += _secrets(path)
    if document.problems:
        return _read_whole(Document(path.name)), document.problems
    settings = _read_whole(document)
    return settings, sorted(dict.fromkeys(document.problems), key=lambda each: each.line or 0)


def _secrets(path: Path) -> list[Problem]:
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    return [
        Problem(
            path.name,
            "",
            "expected no key and no password in this file, got what looks like one; take it out, "
            "and make a new one where the file was shared: boto3 finds credentials by itself",
            line,
        )
        for line in lines_with_secrets(content)
    ]


def _read_whole(document: Document) -> JobSettings:
    top = Section(document, document.content)
    hyperparameters = top.section("hyperparameters")
    settings = JobSettings(
        name=top.value("name", _name, "plainfilm"),
        role=top.required("role", _role, ""),
        image=top.required("image", _image, ""),
        bundle=top.required("bundle", text, ""),
        data=top.required("data", _uri, ""),
        output=top.required("output", _uri, ""),
        instance=_instance(top.section("instance")),
        max_runtime_hours=top.value("max_runtime_hours", number(0.05, _MOST_HOURS), 24.0),
        overlays=top.value("overlays", words(), ()),
        hyperparameters={
            key: hyperparameters.value(key, _plain, None) for key in hyperparameters.names()
        },
        channels=top.value("channels", words(one_of=CHANNELS), ("train", "val")),
        input_mode=top.value("input_mode", _mode, MODES[0]),
        checkpoints=top.value("checkpoints", _uri, None),
        max_wait_hours=_spot(top),
        network=_network(top.section("network")),
        encryption=_encryption(top.section("encryption")),
        tags=_tags(top.section("tags")),
        region=top.value("region", _region, None),
    )
    _check_together(top, settings)
    _check_training(top, hyperparameters, settings)
    top.end()
    return settings


def _check_together(top: Section, settings: JobSettings) -> None:
    if "train" not in settings.channels:
        top.complain("channels", "expected 'train' among the channels")
    wait = settings.max_wait_hours
    if wait is not None and settings.checkpoints is None:
        top.complain("spot", "expected checkpoints: s3://… with spot instances, or all is lost")
    if wait is not None and wait < settings.max_runtime_hours:
        top.complain(
            "spot",
            f"expected max_wait_hours of at least max_runtime_hours, got {wait:g} and "
            f"{settings.max_runtime_hours:g}",
        )
    if bool(settings.network.subnets) != bool(settings.network.security_groups):
        top.complain("network", "expected subnets and security_groups together")


def _check_training(top: Section, section: Section, settings: JobSettings) -> None:
    """Check what shall be trained as the container will."""
    given = settings.hyperparameters
    if len(given) > _MOST_HYPERPARAMETERS:
        section.complain("", f"expected at most {_MOST_HYPERPARAMETERS}, got {len(given)}")
    for key in (BUNDLE, OVERLAYS, *TAKEN):
        if key in given:
            where = "a key of the file" if key in {BUNDLE, OVERLAYS} else "the container's own"
            section.complain(key, f"expected no hyperparameter of this name: it is {where}")
            return
    if not settings.bundle:
        return
    try:
        read_hyperparameters({BUNDLE: settings.bundle, OVERLAYS: [*settings.overlays], **given})
    except PlainfilmError as refusal:
        for line in str(refusal).splitlines():
            _complain_of(line, top, section, given)


def _complain_of(line: str, top: Section, section: Section, given: Mapping[str, object]) -> None:
    """Put what the static check says to the hyperparameter that it is about, where it names one."""
    about = next((key for key in given if key.replace(".", "::") in line), None)
    if about is not None:
        section.complain(about, line)
    else:
        top.complain("overlays" if "overlay" in line else "bundle", line)


def _instance(section: Section) -> Instance:
    instance = Instance(
        type=section.required("type", _type, ""),
        count=section.value("count", whole(1, 100), 1),
        volume_gb=section.value("volume_gb", whole(1, 16_384), 50),
    )
    section.end()
    return instance


def _spot(top: Section) -> float | None:
    given = "spot" in top
    section = top.section("spot")
    wait = section.value("max_wait_hours", number(0.05, _MOST_HOURS), None)
    if given and wait is None:
        section.complain("", "expected the key 'max_wait_hours'")
    section.end()
    return wait


def _network(section: Section) -> Network:
    default = Network()
    network = Network(
        subnets=section.value("subnets", _each(matching(_SUBNET, "ids of subnets, subnet-…")), ()),
        security_groups=section.value(
            "security_groups", _each(matching(_GROUP, "ids of security groups, sg-…")), ()
        ),
        isolation=section.value("isolation", flag, default.isolation),
        encrypt_traffic=section.value("encrypt_traffic", flag, default.encrypt_traffic),
    )
    section.end()
    return network


def _encryption(section: Section) -> Encryption:
    encryption = Encryption(
        volume_key=section.value("volume_key", _key, None),
        output_key=section.value("output_key", _key, None),
    )
    section.end()
    return encryption


def _tags(section: Section) -> dict[str, str]:
    names = section.names()
    if len(names) > _MOST_TAGS:
        section.complain("", f"expected at most {_MOST_TAGS} tags, got {len(names)}")
    return {name: section.value(name, _tag, "") for name in names}


def _uri(given: object) -> str:
    """Parse the URI of a folder; it ends with one slash, so that no other prefix is meant."""
    return _bucket(given).rstrip("/") + "/"


def _tag(given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise WrongValueError("a text")
    if len(str(given)) > _LONGEST_TAG:
        raise WrongValueError(f"a text of at most {_LONGEST_TAG} characters")
    return str(given)


def _plain(given: object) -> object:
    if len(json.dumps(given, default=str)) > _LONGEST_VALUE:
        raise WrongValueError(f"a value of at most {_LONGEST_VALUE} characters")
    return given


def _each(parse: Parse[str]) -> Parse[tuple[str, ...]]:
    several = words()

    def parse_all(given: object) -> tuple[str, ...]:
        return tuple(map(parse, several(given)))

    return parse_all
