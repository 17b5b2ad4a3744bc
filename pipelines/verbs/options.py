"""What verbs share: their exit status, options that several have, and how they speak."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import did_you_mean
from pipelines.workflows.bundle import Bundle, find_bundle
from pipelines.workflows.ensemble_settings import ensemble_settings
from pipelines.workflows.reading import refuse_constant
from pipelines.workflows.required import Kind


class ExitStatus(IntEnum):
    """What the process tells the shell."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130


class AddVerb(Protocol):
    """Adds a verb to the command line and returns its parser."""

    def __call__(
        self, name: str, run: Callable[..., int], said: str, example: str
    ) -> argparse.ArgumentParser:
        """Add a verb.

        Args:
            name: What the user types.
            run: Gets the parsed options and returns the exit status.
            said: What the verb does, in a few words.
            example: A command line, without the program's name.
        """
        ...


def settings(pairs: Sequence[str]) -> dict[str, object]:
    """Read `key=value` pairs of the command line.

    Args:
        pairs: The parts of a key may be separated by `.`, `#` or `::`; a value is read as JSON and,
            where it is none, taken as a string.

    Returns:
        Values by key, in MONAI's way of writing keys (`::`).

    Raises:
        ConfigurationError: If a pair has no `=` or no key.

    Examples:
        >>> settings(["train.trainer.max_epochs=3", "device=cpu"])
        {'train::trainer::max_epochs': 3, 'device': 'cpu'}
    """
    read: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise ConfigurationError(
                Reason.CONFIGURATION, f"expected --set KEY=VALUE, got '{pair}'"
            )
        try:
            read[key.replace("#", "::").replace(".", "::")] = json.loads(
                value, parse_constant=refuse_constant
            )
        except ValueError:
            read[key.replace("#", "::").replace(".", "::")] = value
    return read


def checked(
    options: argparse.Namespace,
    *,
    base: Kind,
    overlays: Sequence[str],
    find: Callable[[str], Bundle] = find_bundle,
) -> tuple[Bundle, dict[str, object]]:
    """Find the bundle and check what is about to run, before anything heavy is imported.

    Args:
        options: What was given.
        base: The configuration that is about to run.
        overlays: Names or paths of configurations merged after it.
        find: Finds the bundle; another one than `find_bundle` takes exported files as well.

    Returns:
        The bundle, and the values that are set by id.

    Raises:
        ConfigurationError: If the check finds a problem.
    """
    from pipelines.progress import configure_logging
    from pipelines.workflows.check import check_bundle
    from pipelines.workflows.problem import first_problems

    bundle, overrides = find(options.bundle), settings(options.set)
    ensemble = getattr(options, "ensemble", None)
    if ensemble is not None:
        overrides = ensemble_settings(existing(ensemble), base=base) | overrides
    problems = check_bundle(bundle, base=base, overlays=overlays, overrides=overrides)
    if problems:
        shown = first_problems([each.within(bundle.name) for each in problems], of=bundle.name)
        raise ConfigurationError(Reason.CONFIGURATION, shown)
    configure_logging(debug=options.debug)
    return bundle, overrides


def existing(path: Path) -> Path:
    """Return the path of a file or folder that is there.

    Raises:
        ConfigurationError: If it is not.
    """
    if not path.exists():
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        close = did_you_mean(path.name, (each.name for each in beside))
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected an existing file or folder, got none named '{path.name}'"
            f"{close or '; check the path'}",
        )
    return path


def say(text: str) -> None:
    """Print what the user asked for."""
    sys.stdout.write(text + "\n")


def told(summary: Mapping[str, Any], output: Path) -> ExitStatus:
    """Say how many inputs were predicted, and return what that means to the shell.

    Args:
        summary: What stands in `summary.json`.
        output: Where it stands.
    """
    counts = ", ".join(f"{summary[name]} {name}" for name in ("predicted", "skipped", "failed"))
    say(f"{summary['inputs']} inputs: {counts}; tables: {output}")
    without = (summary.get("dicom") or {}).get("films_without", 0)
    if without:
        say(f"{without} predicted without all of their DICOM objects: {output}/dicom")
    return ExitStatus.SOME_FAILED if summary["failed"] or without else ExitStatus.DONE


def add_overlay(parser: argparse.ArgumentParser) -> None:
    """Let a verb merge variants into the bundle's configuration."""
    parser.add_argument(
        "--overlay",
        action="append",
        default=[],
        metavar="NAME",
        help="a variant in the bundle's configs/",
    )


def add_set(parser: argparse.ArgumentParser) -> None:
    """Let a verb change values of the bundle's configuration."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value of the configuration, e.g. train.trainer.max_epochs=3",
    )


def add_ensemble(parser: argparse.ArgumentParser) -> None:
    """Let a verb use an ensemble in place of a bundle's weights."""
    parser.add_argument(
        "--ensemble",
        type=Path,
        metavar="DIR",
        help="weights that `plainfilm ensemble` made, in place of the bundle's",
    )
