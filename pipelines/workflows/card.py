"""The verb `card`: what is known of a bundle's weights, on one page that is made from measurements.

`docs/model_card.md` is generated and never written by hand: from the metadata, the operating point,
the sections Data and Limitations of `docs/README.md`, and the small files that evaluations left,
which are kept in `docs/measured/<name>/`.
"""

import csv
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object, sha256, whole_file, write_json, write_text
from pipelines.unfinished import FILES, held_folder
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.card_facts import CardFacts, Measurement
from pipelines.workflows.card_text import card_text

CARD = "model_card.md"
MEASURED = "measured"

_METRICS, _DATA = "metrics.json", "data_card.json"
_TABLES = ("subgroups.csv", "robustness.csv")
_COUNTS = ("films", "groups", "splits", "formats")
"""What is kept of `data_card.json`."""


def write_card(bundle: Bundle, runs: Sequence[str] = ()) -> Path:
    """Write the model card of a bundle, after keeping what runs measured.

    Args:
        bundle: The bundle.
        runs: Folders of evaluations to keep, each in place of an earlier one of the same name: the
            name of its split, or `NAME=FOLDER`; a folder that is there is taken as it is named.

    Returns:
        `docs/model_card.md`.

    Raises:
        ConfigurationError: If a folder is no finished evaluation.
    """
    for run in runs:
        name, equals, folder = run.partition("=")
        if equals and not Path(run).exists():
            _keep(bundle, Path(folder), name)
        else:
            _keep(bundle, Path(run), None)
    path = bundle.root / "docs" / CARD
    write_text(path, card_text(read_facts(bundle)))
    return path


def read_facts(bundle: Bundle) -> CardFacts:
    """Read everything that the card of a bundle tells."""
    readme = bundle.root / "docs" / "README.md"
    folders = sorted((bundle.root / "docs" / MEASURED).glob(f"*/{_METRICS}"))
    return CardFacts(
        name=bundle.name,
        metadata=read_json_object(bundle.metadata),
        point=read_json_object(bundle.operating_point),
        weights=sha256(bundle.weights) if bundle.weights.is_file() else None,
        sections=_sections(readme.read_text("utf-8") if readme.is_file() else ""),
        measured=[_measurement(path.parent) for path in folders],
    )


def _keep(bundle: Bundle, run: Path, name: str | None) -> None:
    """Copy the small files of an evaluation into the bundle.

    Raises:
        ConfigurationError: If the folder is no finished evaluation.
    """
    metrics = read_json_object(run / _METRICS)
    if not isinstance(metrics.get("metrics"), dict) or "split" not in metrics:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the folder of an evaluation, '{run.name}' has no {_METRICS} with figures; "
            "name one that `plainfilm evaluate` has made",
        )
    called = re.sub(r"[^a-z0-9]+", "-", (name or str(metrics["split"])).casefold()).strip("-")
    folder = bundle.root / "docs" / MEASURED / (called or "split")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # On the same disk, so that what is complete takes the place of the old by being renamed.
    with held_folder(folder.parent, f"{FILES}{folder.name}-") as beside:
        new, old = beside / "new", beside / "old"
        write_json(new / _METRICS, metrics)
        data = read_json_object(run / _DATA)
        if data:
            write_json(new / _DATA, {key: data[key] for key in _COUNTS if key in data})
        for table in _TABLES:
            if (run / table).is_file():
                with whole_file(new / table) as temporary:
                    shutil.copyfile(run / table, temporary)
        if folder.is_dir():
            folder.rename(old)
        new.rename(folder)


def _measurement(folder: Path) -> Measurement:
    return Measurement(
        folder.name,
        metrics=read_json_object(folder / _METRICS),
        data=read_json_object(folder / _DATA),
        subgroups=_rows(folder / _TABLES[0]),
        robustness=_rows(folder / _TABLES[1]),
    )


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return {
        heading.strip(): body.strip()
        for heading, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))
