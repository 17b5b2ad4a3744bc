"""Looking at bundles without running them: `list` and `check`."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.collector import collector_paused
from pipelines.errors import ConfigurationError, Reason
from pipelines.table_cells import table_text
from pipelines.verbs.options import (
    AddVerb,
    ExitStatus,
    add_overlay,
    add_set,
    existing,
    say,
    settings,
)
from pipelines.workflows.bundle import Bundle, BundleSummary, find_bundle, list_bundles
from pipelines.workflows.problem import Problem
from pipelines.workflows.required import Kind

NODE_SUFFIXES = (".yaml", ".yml")
"""A file of this suffix is the configuration of a node, or of a job of `sagemaker launch`."""

EXPORTED_SUFFIXES = (".ts", ".onnx", ".xml")
"""A file of this suffix was exported."""


def add(verb: AddVerb) -> None:
    """Add these verbs to the command line."""
    verb("list", list_known, "bundles with their task, classes, weights and figures", "list")
    _add_check(verb)


def _add_check(verb: AddVerb) -> None:
    parser = verb(
        "check",
        check,
        "find mistakes in bundles, or in the configuration of a node, without running them",
        "check pneumonia_classification",
    )
    parser.add_argument(
        "bundles",
        nargs="*",
        metavar="BUNDLE",
        help="or a .yaml file of a node or a job, or an exported file; default: all known bundles",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--untrusted",
        action="store_true",
        help="refuse whatever could run code, lead outside or is not in the manifest",
    )
    instead.add_argument(
        "--write-manifest",
        action="store_true",
        help="write manifest.json anew: after a change of configurations or weights of your own",
    )
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
    nodes = [Path(name) for name in names if name.endswith(NODE_SUFFIXES)]
    files = [Path(name) for name in names if name.endswith(EXPORTED_SUFFIXES)]
    others = (*NODE_SUFFIXES, *EXPORTED_SUFFIXES)
    bundles = [find_bundle(name) for name in names if not name.endswith(others)]
    if options.write_manifest:
        return _write_manifests(bundles)
    wrong = sum(map(_check_yaml, nodes)) + sum(map(_check_file, files))
    overrides = settings(options.set)
    for bundle in bundles:
        if options.untrusted:
            problems, well = _suspicions(bundle)
        else:
            with collector_paused():
                problems = _problems(bundle, overlays=options.overlay, overrides=overrides)
            well = "ok"
        wrong += len(problems)
        for problem in problems:
            say(table_text(problem.within(bundle.name)))  # names and keys may hold anything
        if not problems:
            say(f"{bundle.name}: {well}")
    return ExitStatus.WRONG_USE if wrong else ExitStatus.DONE


def _write_manifests(bundles: Sequence[Bundle]) -> ExitStatus:
    from pipelines.workflows.manifest import write_manifest

    for bundle in bundles:
        say(f"{bundle.name}: {write_manifest(bundle).name} written")
    return ExitStatus.DONE


def _suspicions(bundle: Bundle) -> tuple[list[Problem], str]:
    """What speaks against a bundle of somebody else; and what to say when nothing does."""
    from pipelines.files import sha256
    from pipelines.workflows.manifest import MANIFEST
    from pipelines.workflows.untrusted import check_untrusted

    problems = check_untrusted(bundle)
    if problems:
        return problems, ""
    return [], "nothing in it runs code of its own; SHA-256 of its manifest: " + sha256(
        bundle.root / MANIFEST
    )


def _check_yaml(path: Path) -> int:
    """Print what is wrong with the file of a node or of a job; return how much that is."""
    from pipelines.deploy.node.configuration import check_node
    from pipelines.deploy.sagemaker.configuration import check_job, is_job

    problems = check_job(path) if is_job(existing(path)) else check_node(path)
    say("\n".join(map(str, problems)) or f"{path.name}: ok")
    return len(problems)


def _check_file(path: Path) -> int:
    """Print what an exported file holds, or what is wrong with it; return how much that is."""
    from pipelines.deploy.packages.opened import describe_file, find_model
    from pipelines.workflows.check import check_bundle

    bundle = find_model(str(path))
    problems = check_bundle(bundle, base=Kind.INFERENCE)
    for problem in problems:
        say(table_text(problem.within(path.name)))
    if not problems:
        say(table_text(f"{path.name}: ok: {describe_file(bundle)}; nothing in it runs code"))
    return len(problems)


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
