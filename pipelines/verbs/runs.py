"""Runs: `train`, `evaluate`, `compare` of several, and `card`, which keeps what they measured."""

import argparse
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.verbs.options import (
    AddVerb,
    ExitStatus,
    add_ensemble,
    add_overlay,
    add_set,
    checked,
    existing,
    say,
)
from pipelines.workflows.bundle import find_bundle
from pipelines.workflows.machines import OVERLAY, Machines
from pipelines.workflows.required import Kind


def add(verb: AddVerb) -> None:
    """Add these verbs to the command line."""
    _add_train(verb)
    _add_evaluate(verb)
    _add_compare(verb)
    _add_card(verb)


def _add_train(verb: AddVerb) -> None:
    parser = verb(
        "train",
        train,
        "train a bundle",
        "train pneumonia_classification --data data/chest_xray",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="GPUs of this machine, or processes on a CPU, that train together; default: 1",
    )
    _add_run_options(parser)


def _add_evaluate(verb: AddVerb) -> None:
    parser = verb(
        "evaluate",
        evaluate,
        "measure a bundle's weights on the test split",
        "evaluate pneumonia_classification --data data/chest_xray",
    )
    _add_run_options(parser)
    add_ensemble(parser)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="the images")
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: a new folder in runs/")
    add_overlay(parser)
    add_set(parser)


def _add_compare(verb: AddVerb) -> None:
    parser = verb(
        "compare",
        compare,
        "lay runs, or those of an experiment file, side by side in one table and one picture",
        "compare runs/pneumonia_classification/* --output comparison",
    )
    parser.add_argument(
        "sources", metavar="RUN", nargs="+", type=Path, help="run folders, or experiments (.yaml)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="images of experiments; default: as they say"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("comparison"),
        help="for table, picture and runs; default: %(default)s",
    )


def _add_card(verb: AddVerb) -> None:
    parser = verb(
        "card",
        card,
        "write a bundle's model card from what evaluations measured",
        "card pneumonia_classification runs/pneumonia_classification/RUN",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        help="folders of evaluations to keep with the bundle, by split or as NAME=FOLDER",
    )


def train(options: argparse.Namespace) -> ExitStatus:
    """Train a bundle after its static check.

    Raises:
        ConfigurationError: If there are fewer devices than one.
    """
    if options.devices < 1:
        raise ConfigurationError(
            Reason.CONFIGURATION, f"expected --devices of at least 1, got {options.devices}"
        )
    if options.devices > 1:
        return _train_on_devices(options)
    bundle, overrides = checked(options, base=Kind.TRAIN, overlays=options.overlay)
    from pipelines.training.ranks import ranks
    from pipelines.workflows import run

    folder = run.train(
        bundle,
        data=existing(options.data),
        output_dir=options.output,
        overlays=options.overlay,
        overrides=overrides,
        resume=options.resume,
    )
    if ranks().is_main:
        say(f"run folder: {folder}")
    return ExitStatus.DONE


def _train_on_devices(options: argparse.Namespace) -> ExitStatus:
    """Start a process a device and wait for them; the first of them speaks."""
    overlays = [OVERLAY, *options.overlay]
    bundle, overrides = checked(options, base=Kind.TRAIN, overlays=overlays)
    from pipelines.workflows.devices import train_on_devices

    train_on_devices(
        bundle,
        Machines(options.devices),
        data=existing(options.data),
        output_dir=options.output,
        overlays=options.overlay,
        overrides=overrides,
        flags=[name for name in ("resume", "debug") if getattr(options, name)],
    )
    return ExitStatus.DONE


def evaluate(options: argparse.Namespace) -> ExitStatus:
    """Measure a bundle's weights after its static check."""
    bundle, overrides = checked(options, base=Kind.TRAIN, overlays=["evaluate", *options.overlay])
    from pipelines.workflows import run

    folder = run.evaluate(
        bundle,
        data=existing(options.data),
        output_dir=options.output,
        overlays=options.overlay,
        overrides=overrides,
    )
    say(f"run folder: {folder}")
    return ExitStatus.DONE


def compare(options: argparse.Namespace) -> ExitStatus:
    """Print one table of runs, and what could not be compared."""
    from pipelines.progress import configure_logging
    from pipelines.workflows.compare import compare as compare_runs

    configure_logging(debug=options.debug)
    data = None if options.data is None else existing(options.data)
    comparison = compare_runs(options.sources, options.output, data=data)
    say(comparison.table)
    for problem in comparison.problems:
        say(f"not compared: {problem}")
    say(f"table and picture: {options.output}")
    return ExitStatus.SOME_FAILED if comparison.problems else ExitStatus.DONE


def card(options: argparse.Namespace) -> ExitStatus:
    """Write a bundle's model card."""
    from pipelines.workflows.card import write_card

    path = write_card(find_bundle(options.bundle), options.runs)
    say(f"model card: {path}")
    return ExitStatus.DONE
