"""The command `plainfilm`: each verb parses, calls one typed function and prints what came out.

Torch and MONAI are imported by the verbs that need them, after everything that can be checked
without them has been checked.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pipelines
from pipelines import verbs
from pipelines.errors import ConfigurationError, DatasetError, Reason
from pipelines.nearest import did_you_mean, right_names
from pipelines.refusal_text import refusal_text, root_cause
from pipelines.verbs import ExitStatus

EXIT_STATUS = """exit status:
  0  all inputs were handled (skipped ones included)
  1  an error of plainfilm or of the machine, or films that cannot be read
  2  wrong use, configuration or layout of a data set
  3  done, but some inputs failed
  130  stopped by Ctrl-C"""


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, with the nearest right name, and never abbreviates."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(Reason.CONFIGURATION, f"{message}; see `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: What stands behind the program's name; by default that of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parse(given)
        status: ExitStatus = options.run(options)
    except KeyboardInterrupt:
        _say(f"stopped; {_how_to_go_on(given)}")
        return ExitStatus.INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last resort: one line in place of a traceback
        return _refuse(error, debug="--debug" in given)
    return status


def _how_to_go_on(given: Sequence[str]) -> str:
    if {"train", "predict"} & {*given}:
        return "the same command goes on where it was"
    return "nothing half-written is left"


def _refuse(error: Exception, *, debug: bool) -> ExitStatus:
    if debug:
        traceback.print_exception(error)
    cause = root_cause(error)
    _say(refusal_text(cause, traced=debug))
    # Films that cannot be read are a failure; a data set that is laid out otherwise is wrong use.
    layout = isinstance(cause, DatasetError) and cause.reason is Reason.DATASET_LAYOUT
    wrong_use = layout or isinstance(cause, ConfigurationError)
    return ExitStatus.WRONG_USE if wrong_use else ExitStatus.FAILED


def _say(text: str) -> None:
    sys.stderr.write(f"plainfilm: {text}\n")


def _parse(given: list[str]) -> argparse.Namespace:
    parser, known = _parsers()
    verb = next((each for each in given if not each.startswith("-")), None)
    if verb is not None and verb not in known:
        raise ConfigurationError(Reason.UNKNOWN_NAME, f"no verb '{verb}'{right_names(verb, known)}")
    options, unknown = parser.parse_known_args(given)
    if unknown:
        spellings = list(known[options.verb]._option_string_actions)
        close = did_you_mean(unknown[0].partition("=")[0], spellings)
        see = f"{close} See" if close else "; see"
        raise ConfigurationError(
            Reason.UNKNOWN_NAME,
            f"unexpected argument '{unknown[0]}'{see} `plainfilm {options.verb} --help`",
        )
    return options


def _parsers() -> tuple[_Parser, dict[str, argparse.ArgumentParser]]:
    parser = _Parser(
        prog="plainfilm",
        description="Train, evaluate and run radiograph models declared as MONAI bundles.",
        epilog=f"BUNDLE is a name under bundles/ or a path.\n\n{EXIT_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"plainfilm {pipelines.__version__}")
    choices = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, parser_class=_Parser
    )

    def verb(
        name: str, run: Callable[..., int], said: str, example: str
    ) -> argparse.ArgumentParser:
        added = choices.add_parser(
            name,
            help=said,
            description=f"{said[0].upper()}{said[1:]}.",
            epilog=f"example:\n  plainfilm {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.add_argument(
            "--debug", action="store_true", help="show tracebacks and more log lines"
        )
        added.set_defaults(run=run)
        return added

    verb("list", verbs.list_known, "bundles with their task, classes, weights and figures", "list")
    check = verb(
        "check",
        verbs.check,
        "find mistakes in bundles without running them",
        "check pneumonia_classification",
    )
    check.add_argument("bundles", nargs="*", metavar="BUNDLE", help="default: all known bundles")
    _add_overlay(check)
    _add_set(check)
    _add_data(verb)
    _add_runs(verb)
    predict = verb(
        "predict",
        verbs.predict,
        "read a file or a folder of DICOM, PNG, JPEG and TIFF and write tables of predictions",
        "predict pneumonia_classification films/ results/",
    )
    predict.add_argument("bundle", metavar="BUNDLE")
    predict.add_argument("source", metavar="INPUT", type=Path, help="a file or a folder")
    predict.add_argument("output", metavar="OUTPUT", type=Path, help="a folder for what comes out")
    predict.add_argument(
        "--restart", action="store_true", help="predict again what OUTPUT already has"
    )
    predict.add_argument(
        "--explain", action="store_true", help="write pictures of where the network looked"
    )
    predict.add_argument(
        "--region",
        metavar="MODE",
        help="mask: classify only what a segmentation step finds, where the bundle has one",
    )
    _add_overlay(predict)
    _add_set(predict)
    _add_results(verb)
    return parser, dict(choices.choices)


def _add_data(verb: Callable[..., argparse.ArgumentParser]) -> None:
    datalist = verb(
        "datalist",
        verbs.datalist,
        "index a folder of images, split it by patient and check the split for leaks",
        "datalist chest_xray data/chest_xray --output chest.json",
    )
    datalist.add_argument(
        "layout",
        metavar="LAYOUT",
        help="chest_xray, class_folders, flat, lesions, hand_bones, mask_pairs or file",
    )
    datalist.add_argument("directory", metavar="DIR", type=Path, help="the images, or the file")
    datalist.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="in the order of their labels; for flat the normal ones",
    )
    datalist.add_argument(
        "--group-column", metavar="NAME", help="column of a table that says whose image it is"
    )
    datalist.add_argument(
        "--val-fraction", type=float, default=0.1, metavar="SHARE", help="for validation"
    )
    datalist.add_argument(
        "--test-fraction", type=float, default=0.0, metavar="SHARE", help="for testing"
    )
    datalist.add_argument("--seed", type=int, default=0, help="another seed gives another split")
    datalist.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        default=Path("datalist.json"),
        help="default: %(default)s",
    )
    sample = verb(
        "sample",
        verbs.sample,
        "write generated images in the layout that its users have",
        "sample chest data/demo",
    )
    sample.add_argument("name", metavar="NAME", help="chest, hand, fracture or skin")
    sample.add_argument("directory", metavar="DIR", type=Path)
    sample.add_argument(
        "--count", type=int, default=48, help="about how many; default: %(default)s"
    )
    sample.add_argument("--seed", type=int, default=0, help="another seed gives other images")


def _add_runs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    train = verb(
        "train",
        verbs.train,
        "train a bundle",
        "train pneumonia_classification --data data/chest_xray",
    )
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    evaluate = verb(
        "evaluate",
        verbs.evaluate,
        "measure a bundle's weights on the test split",
        "evaluate pneumonia_classification --data data/chest_xray",
    )
    for each in (train, evaluate):
        each.add_argument("bundle", metavar="BUNDLE")
        each.add_argument("--data", type=Path, metavar="DIR", required=True, help="the images")
        each.add_argument(
            "--output", type=Path, metavar="DIR", help="default: a new folder in runs/"
        )
        _add_overlay(each)
        _add_set(each)
    compare = verb(
        "compare",
        verbs.compare,
        "lay runs, or those of an experiment file, side by side in one table and one picture",
        "compare runs/pneumonia_classification/* --output comparison",
    )
    compare.add_argument(
        "sources", metavar="RUN", nargs="+", type=Path, help="run folders, or experiments (.yaml)"
    )
    compare.add_argument(
        "--data", type=Path, metavar="DIR", help="images of experiments; default: as they say"
    )
    compare.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path("comparison"),
        help="for table, picture and runs; default: %(default)s",
    )


def _add_results(verb: Callable[..., argparse.ArgumentParser]) -> None:
    export = verb(
        "export",
        verbs.export,
        "write a bundle's network with its weights as one file that runs without plainfilm",
        "export pneumonia_classification --format torchscript",
    )
    export.add_argument("bundle", metavar="BUNDLE")
    export.add_argument(
        "--format", default="torchscript", metavar="NAME", help="default: %(default)s"
    )
    export.add_argument(
        "--output", type=Path, metavar="FILE", help="default: beside the bundle's weights"
    )
    _add_overlay(export)
    _add_set(export)


def _add_overlay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overlay",
        action="append",
        default=[],
        metavar="NAME",
        help="a variant in the bundle's configs/",
    )


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the configuration, e.g. train.trainer.max_epochs=3",
    )
