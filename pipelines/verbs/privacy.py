"""Films that leave the house: `deidentify`."""

import argparse
from dataclasses import replace
from pathlib import Path

from pipelines.verbs.options import AddVerb, ExitStatus, existing, say

FLAGS = ("burned_in_annotation", "secondary_capture", "text_at_margins")


def add(verb: AddVerb) -> None:
    """Add these verbs to the command line."""
    parser = verb(
        "deidentify",
        deidentify,
        "write DICOM films without identity, with pseudonyms by a key that you keep",
        "deidentify films/ research/ --key pseudonyms.key",
    )
    parser.add_argument("source", metavar="INPUT", type=Path, help="a file or a folder")
    parser.add_argument(
        "output", metavar="OUTPUT", type=Path, help="a folder for what is handed on"
    )
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        required=True,
        help="makes the pseudonyms; made where there is none, and to be kept",
    )
    parser.add_argument(
        "--retain-dates",
        action="store_true",
        help="keep dates, each patient's moved back by the same number of days",
    )
    parser.add_argument(
        "--retain-patient",
        action="store_true",
        help="keep sex, and age, of 90 years at most",
    )
    parser.add_argument(
        "--include-flagged",
        action="append",
        default=[],
        metavar="FLAG",
        choices=FLAGS,
        help=f"export films that would be held back for it: {', '.join(FLAGS)}",
    )
    parser.add_argument(
        "--keep-folder",
        action="append",
        default=[],
        metavar="NAME",
        help="keep folders of this name in the paths, such as a class",
    )
    parser.add_argument(
        "--linking-table",
        type=Path,
        metavar="FILE",
        help="write what leads back to names and identifiers, for your eyes alone",
    )


def deidentify(options: argparse.Namespace) -> ExitStatus:
    """Export a folder of films without identity."""
    source = existing(options.source)
    from pipelines.deploy.deidentify.film import Flag
    from pipelines.deploy.deidentify.folder import (
        Export,
        check_places,
        deidentify_folder,
        keep_apart,
    )
    from pipelines.deploy.deidentify.key import PseudonymKey, open_key
    from pipelines.deploy.deidentify.profile import Options
    from pipelines.progress import configure_logging

    configure_logging(debug=options.debug)
    asked = Export(
        source,
        options.output,
        PseudonymKey(b""),
        options=Options(
            modified_dates=options.retain_dates, patient_characteristics=options.retain_patient
        ),
        include=[Flag(each) for each in options.include_flagged],
        keep_folders=options.keep_folder,
        linking_table=options.linking_table,
    )
    check_places(asked)
    keep_apart(options.key, asked, "the key")
    key, made = open_key(options.key)
    if made:
        say("a new key was made; keep it: only with it are pseudonyms the same next time")
    counts = deidentify_folder(replace(asked, key=key))
    told = ", ".join(f"{counts[name]} {said}" for name, said in _SAID.items())
    say(f"{counts['inputs']} inputs: {told}; films and table: {options.output}")
    if counts["removed"]:
        say(f"{counts['removed']} films of an earlier run were removed: no input gives them now")
    if options.linking_table is None and counts["held"] + counts["failed"]:
        say("which ones: the same command with --linking-table FILE tells, and nothing else does")
    return ExitStatus.SOME_FAILED if counts["failed"] else ExitStatus.DONE


_SAID = {
    "exported": "exported",
    "held": "held back",
    "skipped": "skipped",
    "failed": "failed",
}
