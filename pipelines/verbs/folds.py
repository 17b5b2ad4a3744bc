"""Several runs as one: `cross-validate` and `ensemble`."""

import argparse
from pathlib import Path

from pipelines.verbs.options import (
    AddVerb,
    ExitStatus,
    add_overlay,
    add_set,
    checked,
    existing,
    say,
)
from pipelines.workflows.required import Kind


def add(verb: AddVerb) -> None:
    """Add these verbs to the command line."""
    _add_cross_validate(verb)
    parser = verb(
        "ensemble",
        ensemble,
        "make one set of weights of finished runs: the mean of their calibrated probabilities",
        "ensemble cross_validation/fold-* --output ensemble",
    )
    parser.add_argument("sources", metavar="RUN", nargs="+", type=Path, help="run folders")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("ensemble"),
        help="for weights and figures; default: %(default)s",
    )


def _add_cross_validate(verb: AddVerb) -> None:
    parser = verb(
        "cross-validate",
        cross_validate,
        "train a bundle once a fold and measure it on the films that each has not seen",
        "cross-validate pneumonia_classification --data data/chest_xray --folds 3",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--data", type=Path, metavar="DIR", required=True, help="the images")
    parser.add_argument(
        "--folds", type=int, default=5, metavar="N", help="parts by patient; default: %(default)s"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("cross_validation"),
        help="for the folds and their figures; default: %(default)s",
    )
    add_overlay(parser)
    add_set(parser)


def cross_validate(options: argparse.Namespace) -> ExitStatus:
    """Train every fold after the static check, and print the figures of all."""
    options.set += [f"data.folds={options.folds}", "data.fold=0"]
    bundle, overrides = checked(options, base=Kind.TRAIN, overlays=options.overlay)
    from pipelines.evaluation.cross_validation import format_cross_validation
    from pipelines.workflows import cross_validation

    del overrides["data::fold"]
    found = cross_validation.cross_validate(
        bundle,
        data=existing(options.data),
        output_dir=options.output,
        folds=options.folds,
        overlays=options.overlay,
        overrides=overrides,
    )
    say(format_cross_validation(found))
    say(f"folds, table and picture: {options.output}")
    return ExitStatus.DONE


def ensemble(options: argparse.Namespace) -> ExitStatus:
    """Put finished runs together, and say how the threshold was chosen."""
    from pipelines.progress import configure_logging
    from pipelines.workflows.ensemble import make_ensemble

    configure_logging(debug=options.debug)
    made = make_ensemble([existing(path) for path in options.sources], options.output)
    say(f"{made}\nweights: {options.output}; use them with --ensemble {options.output}")
    return ExitStatus.DONE
