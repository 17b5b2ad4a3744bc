"""What several machines have predicted becomes one set of tables: `merge`."""

import argparse
from pathlib import Path

from pipelines.verbs.options import AddVerb, ExitStatus, existing, say, told


def add(verb: AddVerb) -> None:
    """Add this verb to the command line."""
    parser = verb(
        "merge",
        merge,
        "make one set of tables of the shards that `predict --shard` left in OUTPUT",
        "merge results/",
    )
    parser.add_argument(
        "output", metavar="OUTPUT", type=Path, help="the OUTPUT that was given to every shard"
    )
    parser.add_argument(
        "shards",
        metavar="SHARD",
        nargs="*",
        type=Path,
        help="folders of the shards, where they do not stand in OUTPUT",
    )


def merge(options: argparse.Namespace) -> ExitStatus:
    """Bring the shards together, or say why they do not fit."""
    from pipelines.inference.merge import merge_shards
    from pipelines.progress import configure_logging

    configure_logging(debug=options.debug)
    folders = [existing(folder) for folder in options.shards]
    output = options.output if folders else existing(options.output)
    summary = merge_shards(output, folders)
    say(f"{summary['shards']} shards")
    return told(summary, output)
