"""Training on Amazon SageMaker: `sagemaker launch` starts it, `sagemaker train` is in there."""

import argparse
import json
import os
from pathlib import Path

from pipelines.verbs.options import AddVerb, ExitStatus, existing, say


def add(verb: AddVerb) -> None:
    """Add this verb to the command line."""
    parser = verb(
        "sagemaker",
        train,
        "train in a container of Amazon SageMaker, or start a job there",
        "sagemaker launch job.yaml --dry-run",
    )
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    in_container = parts.add_parser(
        "train", help="what runs in the container", description=train.__doc__, allow_abbrev=False
    )
    in_container.set_defaults(run=train)
    before = parts.add_parser(
        "launch",
        help="start the job that a file describes",
        description=launch.__doc__,
        allow_abbrev=False,
    )
    before.set_defaults(run=launch)
    before.add_argument(
        "configuration", metavar="CONFIG.yaml", type=Path, help="see docs/sagemaker.md"
    )
    before.add_argument("--dry-run", action="store_true", help="show the request, send nothing")
    for part in (in_container, before):
        part.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show tracebacks and more log lines",
        )


def train(options: argparse.Namespace) -> ExitStatus:
    """Train as the container was told to; see docs/sagemaker.md."""
    from pipelines.deploy.sagemaker.training import train as train_in_container
    from pipelines.progress import configure_logging

    configure_logging(debug=options.debug)
    train_in_container(os.environ)
    return ExitStatus.DONE


def launch(options: argparse.Namespace) -> ExitStatus:
    """Show the request of a job, or send it."""
    from pipelines.progress import configure_logging

    configure_logging(debug=options.debug)
    from pipelines.deploy.sagemaker.configuration import read_job
    from pipelines.deploy.sagemaker.request import build_request

    job = read_job(existing(options.configuration))
    request = build_request(job)
    if options.dry_run:
        say(json.dumps(request, indent=2))
        return ExitStatus.DONE
    from pipelines.deploy.sagemaker.launch import start_job

    say(f"started: {start_job(request, region=job.region)}")
    name = request["TrainingJobName"]
    say(f"watch: aws sagemaker describe-training-job --training-job-name {name}")
    return ExitStatus.DONE
