"""What trained weights are used for: `predict` and `export`."""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.collector import collector_paused
from pipelines.errors import ConfigurationError, Reason
from pipelines.ingest.lists import STDIN
from pipelines.ingest.objects import scheme_of
from pipelines.ingest.shard import Shard
from pipelines.verbs.options import (
    AddVerb,
    ExitStatus,
    add_ensemble,
    add_overlay,
    add_set,
    checked,
    existing,
    say,
    told,
)
from pipelines.workflows.required import Kind


def add(verb: AddVerb) -> None:
    """Add these verbs to the command line."""
    _add_predict(verb)
    _add_export(verb)


def _add_predict(verb: AddVerb) -> None:
    parser = verb(
        "predict",
        predict,
        "read a file or a folder of DICOM, PNG, JPEG and TIFF and write tables of predictions",
        "predict pneumonia_classification films/ results/",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="or a file that `export` wrote")
    parser.add_argument(
        "source",
        metavar="INPUT",
        help="a file, a folder, a list (.txt, .csv, .parquet, - for standard input), or a URL: "
        "s3://, gs://, file://",
    )
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="a folder for what comes out")
    parser.add_argument(
        "--restart", action="store_true", help="predict again what OUTPUT already has"
    )
    parser.add_argument(
        "--explain", action="store_true", help="write pictures of where the network looked"
    )
    parser.add_argument(
        "--region",
        metavar="MODE",
        help="mask: classify only what a segmentation step finds, where the bundle has one",
    )
    parser.add_argument(
        "--dicom",
        metavar="KINDS",
        help="write results as DICOM objects for a PACS: sr, seg, sc, gsps, or several by commas",
    )
    parser.add_argument(
        "--engine",
        metavar="NAME",
        help="what runs the network: torch, onnxruntime, openvino, tensorrt, or auto: the quickest",
    )
    parser.add_argument(
        "--shard",
        metavar="INDEX/COUNT",
        help="predict one of COUNT shares of the films, counted from 0, such as 3/16; see merge",
    )
    parser.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="local, this process, or ray, the nodes of a Ray cluster; default: %(default)s",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of a Ray cluster that is there, or auto; without it Ray is started on this machine",
    )
    add_ensemble(parser)
    add_overlay(parser)
    add_set(parser)


def _add_export(verb: AddVerb) -> None:
    parser = verb(
        "export",
        export,
        "write a bundle's network with its weights as one file that runs without plainfilm",
        "export pneumonia_classification --format torchscript",
    )
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument(
        "--format",
        default="torchscript",
        metavar="NAME",
        help="torchscript, onnx or openvino; default: %(default)s",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: beside the bundle's weights"
    )
    parser.add_argument(
        "--int8", action="store_true", help="quantise to eight bits, with --calibration"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR", help="films to take the ranges of INT8 from"
    )
    parser.add_argument(
        "--films", type=int, metavar="N", default=300, help="how many of them; default: %(default)s"
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        metavar="DIR",
        help="other films to judge the file by; in folders named after the classes, by AUROC",
    )
    add_overlay(parser)
    add_set(parser)


def predict(options: argparse.Namespace) -> ExitStatus:
    """Run a bundle over a file or a folder after its static check."""
    if options.explain:
        options.set.append("explain=true")
    if options.region is not None:
        options.set.append(f"region={options.region}")
    if options.dicom is not None:
        options.set.append(f"dicom={options.dicom}")
    if options.engine is not None:
        options.set.append(f"engine_name={options.engine}")
    shard = None if options.shard is None else Shard.parse(options.shard)
    with collector_paused():
        from pipelines.deploy.packages.opened import find_model

        bundle, overrides = checked(
            options, base=Kind.INFERENCE, overlays=options.overlay, find=find_model
        )
        source, output = _input(options.source), options.output
        run = _executor(options)

    summary = run(
        bundle,
        source,
        options.output,
        overrides=overrides,
        overlays=options.overlay,
        restart=options.restart,
        shard=shard,
    )
    if shard is not None:
        output /= shard.folder
        say(f"shard {shard} is done; when all are: plainfilm merge {options.output}")
    return told(summary, output)


def _executor(options: argparse.Namespace) -> Callable[..., Mapping[str, Any]]:
    """Return what predicts: this process, or a Ray cluster.

    Raises:
        ConfigurationError: If an address is given to this process, or Ray is not installed.
    """
    if options.executor == "ray":
        from pipelines.deploy.ray_batch.predict import predict_on_ray

        return partial(predict_on_ray, given=options.bundle, address=options.address)
    if options.address is not None:
        raise ConfigurationError(
            Reason.CONFIGURATION, "expected --executor ray beside --address, got none"
        )
    from pipelines.inference.batch import predict_folder

    return predict_folder


def _input(given: str) -> str | Path:
    """Return an input that may be there: of what lies elsewhere, only its form is looked at."""
    if given == STDIN or scheme_of(given) not in {None, "file"}:
        return given
    return existing(Path(given.removeprefix("file://")))


def export(options: argparse.Namespace) -> ExitStatus:
    """Write a bundle's network as one file after its static check.

    Raises:
        ConfigurationError: If one of `--int8` and `--calibration` stands without the other.
    """
    if options.int8 != (options.calibration is not None):
        raise ConfigurationError(
            Reason.CONFIGURATION, "expected --int8 and --calibration DIR together, got one of them"
        )
    bundle, overrides = checked(options, base=Kind.INFERENCE, overlays=options.overlay)
    folders = (options.calibration, options.evaluate)
    calibration, evaluate = (None if each is None else existing(each) for each in folders)
    from pipelines.deploy.export import Int8, export_bundle
    from pipelines.deploy.export_table import as_text

    exported = export_bundle(
        bundle,
        export_format=options.format,
        output=options.output,
        overlays=options.overlay,
        overrides=overrides,
        int8=None if calibration is None else Int8(calibration, options.films),
        evaluate=evaluate,
    )
    say(as_text(exported.table))
    say(f"exported: {exported.path}")
    return ExitStatus.DONE
