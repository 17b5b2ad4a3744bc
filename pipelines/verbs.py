"""What each verb of the command line does: call one typed function and print what came out."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import did_you_mean
from pipelines.workflows.bundle import Bundle, BundleSummary, find_bundle, list_bundles
from pipelines.workflows.problem import Problem
from pipelines.workflows.reading import refuse_constant
from pipelines.workflows.required import Kind

MOST_PROBLEMS_SHOWN = 3


class ExitStatus(IntEnum):
    """What the process tells the shell."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130


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


def list_known(_options: argparse.Namespace) -> ExitStatus:
    """Print every bundle with task, classes, weights and figures."""
    summaries = list_bundles()
    for summary in summaries:
        _say("\n".join(_described(summary)))
    if not summaries:
        _say("no bundles: none under ./bundles")
    return ExitStatus.DONE


def _described(summary: BundleSummary) -> list[str]:
    size = summary.weights_bytes
    figures = ", ".join(f"{name} {value}" for name, value in summary.figures.items())
    return [
        f"{summary.name} {summary.version}",
        f"  task     {summary.task}",
        f"  classes  {', '.join(summary.classes) or 'not stated'}",
        f"  weights  {'none' if size is None else f'{size / 1e6:.1f} MB'}",
        f"  figures  {figures or 'not measured'}",
    ]


def check(options: argparse.Namespace) -> ExitStatus:
    """Print every mistake in the bundles' configurations, and in what shall be set or merged.

    Raises:
        ConfigurationError: If there is no bundle to check.
    """
    names = options.bundles or [summary.name for summary in list_bundles()]
    if not names:
        raise ConfigurationError(
            Reason.UNKNOWN_NAME, "no bundles: none under ./bundles; give a path"
        )
    wrong = 0
    overrides = settings(options.set)
    for bundle in map(find_bundle, names):
        problems = _problems(bundle, overlays=options.overlay, overrides=overrides)
        wrong += len(problems)
        for problem in problems:
            _say(problem.within(bundle.name))
        if not problems:
            _say(f"{bundle.name}: ok")
    return ExitStatus.WRONG_USE if wrong else ExitStatus.DONE


def _problems(
    bundle: Bundle, *, overlays: Sequence[str], overrides: Mapping[str, object]
) -> list[Problem]:
    """What is wrong with a bundle, and with what shall be merged into one of its configurations.

    They are meant for the one of both that they break less.
    """
    from pipelines.workflows.check import check_bundle

    problems = check_bundle(bundle)
    if not overlays and not overrides:
        return problems
    later = [
        check_bundle(bundle, base=base, overlays=overlays, overrides=overrides) for base in Kind
    ]
    return list(dict.fromkeys([*problems, *min(later, key=len)]))


def datalist(options: argparse.Namespace) -> ExitStatus:
    """Index a folder of images and print what it holds."""
    from pipelines.datasets.index import write_datalist

    datalist = write_datalist(
        options.layout,
        _existing(options.directory),
        options.output,
        classes=options.classes,
        group_column=options.group_column,
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
    )
    _say(f"{datalist}\nwritten: {options.output}")
    return ExitStatus.DONE


def sample(options: argparse.Namespace) -> ExitStatus:
    """Write generated images."""
    from pipelines.datasets.phantoms import write_samples

    written = write_samples(options.name, options.directory, count=options.count, seed=options.seed)
    _say(f"{len(written)} generated images: {options.directory}")
    return ExitStatus.DONE


def train(options: argparse.Namespace) -> ExitStatus:
    """Train a bundle after its static check."""
    bundle, overrides = _checked(options, base=Kind.TRAIN, overlays=options.overlay)
    from pipelines.workflows import run

    folder = run.train(
        bundle,
        data=_existing(options.data),
        output_dir=options.output,
        overlays=options.overlay,
        overrides=overrides,
        resume=options.resume,
    )
    _say(f"run folder: {folder}")
    return ExitStatus.DONE


def evaluate(options: argparse.Namespace) -> ExitStatus:
    """Measure a bundle's weights after its static check."""
    bundle, overrides = _checked(options, base=Kind.TRAIN, overlays=["evaluate", *options.overlay])
    from pipelines.workflows import run

    folder = run.evaluate(
        bundle,
        data=_existing(options.data),
        output_dir=options.output,
        overlays=options.overlay,
        overrides=overrides,
    )
    _say(f"run folder: {folder}")
    return ExitStatus.DONE


def compare(options: argparse.Namespace) -> ExitStatus:
    """Print one table of runs, and what could not be compared."""
    from pipelines.progress import configure_logging
    from pipelines.workflows.compare import compare as compare_runs

    configure_logging(debug=options.debug)
    data = None if options.data is None else _existing(options.data)
    comparison = compare_runs(options.sources, options.output, data=data)
    _say(comparison.table)
    for problem in comparison.problems:
        _say(f"not compared: {problem}")
    _say(f"table and picture: {options.output}")
    return ExitStatus.SOME_FAILED if comparison.problems else ExitStatus.DONE


def predict(options: argparse.Namespace) -> ExitStatus:
    """Run a bundle over a file or a folder after its static check."""
    if options.explain:
        options.set.append("explain=true")
    if options.region is not None:
        options.set.append(f"region={options.region}")
    bundle, overrides = _checked(options, base=Kind.INFERENCE, overlays=options.overlay)
    source = _existing(options.source)
    from pipelines.inference.batch import predict_folder

    summary = predict_folder(
        bundle,
        source,
        options.output,
        overrides=overrides,
        overlays=options.overlay,
        restart=options.restart,
    )
    counts = ", ".join(f"{summary[name]} {name}" for name in ("predicted", "skipped", "failed"))
    _say(f"{summary['inputs']} inputs: {counts}; tables: {options.output}")
    return ExitStatus.SOME_FAILED if summary["failed"] else ExitStatus.DONE


def export(options: argparse.Namespace) -> ExitStatus:
    """Write a bundle's network as one file after its static check."""
    bundle, overrides = _checked(options, base=Kind.INFERENCE, overlays=options.overlay)
    from pipelines.deploy.export import export_bundle

    path = export_bundle(
        bundle,
        export_format=options.format,
        output=options.output,
        overlays=options.overlay,
        overrides=overrides,
    )
    _say(f"exported: {path}")
    return ExitStatus.DONE


def _checked(
    options: argparse.Namespace, *, base: Kind, overlays: Sequence[str]
) -> tuple[Bundle, dict[str, object]]:
    """Find the bundle and check what is about to run, before anything heavy is imported.

    Raises:
        ConfigurationError: If the check finds a problem.
    """
    from pipelines.progress import configure_logging
    from pipelines.workflows.check import check_bundle

    bundle, overrides = find_bundle(options.bundle), settings(options.set)
    problems = check_bundle(bundle, base=base, overlays=overlays, overrides=overrides)
    if problems:
        shown = [problem.within(bundle.name) for problem in problems[:MOST_PROBLEMS_SHOWN]]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more: plainfilm check {bundle.name}")
        raise ConfigurationError(Reason.CONFIGURATION, "\n".join(shown))
    configure_logging(debug=options.debug)
    return bundle, overrides


def _existing(path: Path) -> Path:
    if not path.exists():
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        close = did_you_mean(path.name, (each.name for each in beside))
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected an existing file or folder, got none named '{path.name}'"
            f"{close or '; check the path'}",
        )
    return path


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
