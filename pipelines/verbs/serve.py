"""Answering others: `serve`, the DICOM node."""

import argparse
import sys
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.verbs.options import AddVerb, ExitStatus, existing

DATA_DIR = Path("node")


def add(verb: AddVerb) -> None:
    """Add this verb to the command line."""
    parser = verb(
        "serve",
        serve,
        "take films over the network, predict them and send the results on",
        "serve node.yaml",
    )
    parser.add_argument(
        "configuration", metavar="CONFIG.yaml", nargs="?", type=Path, help="see docs/node.md"
    )
    parser.add_argument(
        "--bundle", metavar="NAME", help="in place of a file: try one bundle, on this machine alone"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help=f"with --bundle: what must survive a kill; default: {DATA_DIR}",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="queue films once more that failed before"
    )


def serve(options: argparse.Namespace) -> ExitStatus:
    """Run a node until it is told to end.

    Raises:
        ConfigurationError: If its settings are wrong, or there are none.
    """
    from pipelines.deploy.node.configuration import read_node, trial_settings
    from pipelines.deploy.packages.opened import find_model

    if (options.configuration is None) == (options.bundle is None):
        raise ConfigurationError(
            Reason.CONFIGURATION, "expected either a configuration file or --bundle NAME"
        )
    if options.bundle is not None:
        root = find_model(options.bundle).root
        settings = trial_settings(str(root), options.data_dir or DATA_DIR)
    elif options.data_dir is not None:
        raise ConfigurationError(
            Reason.CONFIGURATION, "expected --data-dir with --bundle alone; the file has data_dir"
        )
    else:
        settings = read_node(existing(options.configuration))
    from pipelines.deploy.node.events import log_events, quiet_libraries, say_nothing_else
    from pipelines.progress import configure_logging

    configure_logging(debug=options.debug)
    quiet_libraries()
    say_nothing_else()
    log_events(sys.stderr)
    from pipelines.deploy.node.service import serve as serve_node

    serve_node(settings, retry_failed=options.retry_failed)
    return ExitStatus.DONE
