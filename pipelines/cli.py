"""The command `plainfilm`: each verb parses, calls one typed function and prints what came out.

Torch and MONAI are imported by the verbs that need them, after everything that can be checked
without them has been checked.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import pipelines
from pipelines.errors import ConfigurationError, DatasetError, Reason
from pipelines.nearest import did_you_mean, right_names
from pipelines.refusal_text import keep_refusal, refusal_text, root_cause, speaks_for_itself
from pipelines.told_to_end import STATUS as TOLD_TO_END
from pipelines.told_to_end import ends_when_told
from pipelines.verbs import (
    data,
    folds,
    looking,
    measuring,
    privacy,
    runs,
    sagemaker,
    serve,
    shards,
    use,
)
from pipelines.verbs.options import ExitStatus

EXIT_STATUS = """exit status:
  0  all inputs were handled (skipped ones included)
  1  an error of plainfilm or of the machine, or films that cannot be read
  2  wrong use, configuration or layout of a data set
  3  done, but some inputs failed, or the split leaks
  130  stopped by Ctrl-C
  143  told to end by SIGTERM"""


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, with the nearest right name, and never abbreviates."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(Reason.CONFIGURATION, f"{message}; see `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: What stands behind the program's name; by default that of this process.

    Raises:
        SystemExit: If the process was told to end by SIGTERM, and by `--help`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parse(given)
        with ends_when_told():
            status: ExitStatus = options.run(options)
    except SystemExit as end:
        if end.code == TOLD_TO_END and speaks_for_itself():
            _say(f"told to end; {_how_to_go_on(given)}")
        raise
    except KeyboardInterrupt:
        if speaks_for_itself():
            _say(f"stopped; {_how_to_go_on(given)}")
        return ExitStatus.INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last resort: one line in place of a traceback
        return _refuse(error, debug="--debug" in given)
    return status


def _how_to_go_on(given: Sequence[str]) -> str:
    if {"train", "cross-validate", "predict", "deidentify"} & {*given}:
        return "the same command goes on where it was"
    return "nothing half-written is left"


_ABOUT_LAYOUT = frozenset({Reason.DATASET_LAYOUT, Reason.DATA_LEAK})


def _refuse(error: Exception, *, debug: bool) -> ExitStatus:
    if debug:
        traceback.print_exception(error)
    cause = root_cause(error)
    if speaks_for_itself():
        _say(refusal_text(cause, traced=debug))
    else:
        keep_refusal(cause)
    # Films that cannot be read are a failure; a data set that is laid out otherwise is wrong use.
    layout = isinstance(cause, DatasetError) and cause.reason in _ABOUT_LAYOUT
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

    groups = (looking, data, runs, folds, use, shards, measuring, privacy, serve, sagemaker)
    for group in groups:
        group.add(verb)
    return parser, dict(choices.choices)
