"""Images before anything is trained: `datalist` and `sample`."""

import argparse
from pathlib import Path

from pipelines.verbs.options import AddVerb, ExitStatus, existing, say


def add(verb: AddVerb) -> None:
    """Add these verbs to the command line."""
    _add_datalist(verb)
    _add_sample(verb)


def _add_datalist(verb: AddVerb) -> None:
    parser = verb(
        "datalist",
        datalist,
        "index a folder of images, split it by patient and check the split for leaks",
        "datalist chest_xray data/chest_xray --output chest.json",
    )
    parser.add_argument(
        "layout",
        metavar="LAYOUT",
        help="chest_xray, class_folders, flat, lesions, hand_bones, mask_pairs or file",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the images, or the file")
    parser.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="in the order of their labels; for flat the normal ones",
    )
    parser.add_argument(
        "--group-column", metavar="NAME", help="column of a table that says whose image it is"
    )
    parser.add_argument(
        "--val-fraction", type=float, default=0.1, metavar="SHARE", help="for validation"
    )
    parser.add_argument(
        "--test-fraction", type=float, default=0.0, metavar="SHARE", help="for testing"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another split")
    parser.add_argument(
        "--fix",
        metavar="HOW",
        help="group: tie copies and move them to one side; drop: leave out all but one",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        default=Path("datalist.json"),
        help="default: %(default)s",
    )


def _add_sample(verb: AddVerb) -> None:
    parser = verb(
        "sample",
        sample,
        "write generated images in the layout that its users have",
        "sample chest data/demo",
    )
    parser.add_argument("name", metavar="NAME", help="chest, hand, fracture or skin")
    parser.add_argument("directory", metavar="DIR", type=Path)
    parser.add_argument(
        "--count", type=int, default=48, help="about how many; default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other images")


def datalist(options: argparse.Namespace) -> ExitStatus:
    """Index a folder of images and print what it holds."""
    from pipelines.datasets.index import write_datalist
    from pipelines.datasets.leak_report import PICTURE_NAME, format_leaks, leaks_of
    from pipelines.evaluation.leak_pictures import draw_leaks

    indexed = write_datalist(
        options.layout,
        existing(options.directory),
        options.output,
        classes=options.classes,
        group_column=options.group_column,
        val_fraction=options.val_fraction,
        test_fraction=options.test_fraction,
        seed=options.seed,
        fix=options.fix,
    )
    say(f"{indexed.datalist}\n\n{format_leaks(indexed.found)}")
    beside = options.output.absolute().parent
    draw_leaks(beside, indexed.datalist, indexed.found)
    picture = f", {PICTURE_NAME}" if (beside / PICTURE_NAME).is_file() else ""
    say(f"written: {options.output}, and beside it data_card.json, leakage.csv{picture}")
    leaks = leaks_of(indexed.left)
    if leaks:
        say(f"{len(leaks)} pairs stand on two sides of a split: mend it with --fix drop or group")
    return ExitStatus.SOME_FAILED if leaks else ExitStatus.DONE


def sample(options: argparse.Namespace) -> ExitStatus:
    """Write generated images."""
    from pipelines.datasets.phantoms import write_samples

    written = write_samples(options.name, options.directory, count=options.count, seed=options.seed)
    say(f"{len(written)} generated images: {options.directory}")
    return ExitStatus.DONE
