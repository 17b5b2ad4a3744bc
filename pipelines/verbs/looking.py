"""Looking at bundles without running them: `list` and `check`."""

import argparse
from collections.abc import Mapping, Sequence

from pipelines.errors import ConfigurationError, Reason
from pipelines.verbs.options import AddVerb, ExitStatus, add_overlay, add_set, say, settings
from pipelines.workflows.bundle import Bundle, BundleSummary, find_bundle, list_bundles
from pipelines.workflows.problem import Problem
from pipelines.workflows.required import Kind


def add(verb: AddVerb) -> None:
    """Add these verbs to the command line."""
    verb("list", list_known, "bundles with their task, classes, weights and figures", "list")
    _add_check(verb)


def _add_check(verb: AddVerb) -> None:
    parser = verb(
        "check",
        check,
        "find mistakes in bundles without running them",
        "check pneumonia_classification",
    )
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", help="default: all known bundles")
    add_overlay(parser)
    add_set(parser)


def list_known(_options: argparse.Namespace) -> ExitStatus:
    """Print every bundle with task, classes, weights and figures."""
    summaries = list_bundles()
    for summary in summaries:
        say("\n".join(_described(summary)))
    if not summaries:
        say("no bundles: none under ./bundles")
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
            say(problem.within(bundle.name))
        if not problems:
            say(f"{bundle.name}: ok")
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
