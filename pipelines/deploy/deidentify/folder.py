"""A folder of films becomes one of films without identity; every input is accounted for."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pipelines
from pipelines.deploy.deidentify.film import Film, Flag, inspect_film, place_of, write_film
from pipelines.deploy.deidentify.key import PseudonymKey
from pipelines.deploy.deidentify.ledger import (
    Ledger,
    Row,
    is_linking_table,
    write_linking_table,
    write_table,
)
from pipelines.deploy.deidentify.profile import TABLE_EDITION, Cleaner, Options
from pipelines.errors import ConfigurationError, PlainfilmError, Reason, RunError, refusal_of
from pipelines.inference.output import check_writable, output_errors
from pipelines.ingest.collect import Collection as Films
from pipelines.ingest.collect import collect
from pipelines.ingest.read import read_header
from pipelines.predictions import Refusal
from pipelines.progress import progress

FILMS = "films"
"""Folder in OUTPUT that the films stand in: what is handed on, and what `datalist` takes."""

EXPORTED, HELD = "exported", "held"

_OWN_FILE = re.compile(r"film-[0-9a-f]{16}\.dcm")


@dataclass(frozen=True, slots=True)
class Export:
    """What shall be exported, and how.

    Attributes:
        source: Folder of films, or one file.
        output: Folder for films and table; outside of the source.
        key: Makes the pseudonyms.
        options: What stays beyond the basic profile.
        include: Flags of films that are exported all the same.
        keep_folders: Names of folders in the source that stay in the paths, such as classes.
        linking_table: File that leads back from pseudonyms to names and identifiers; outside of
            source and output, new or an earlier such table; None for none.
    """

    source: Path
    output: Path
    key: PseudonymKey
    options: Options = field(default_factory=Options)
    include: Collection[Flag] = ()
    keep_folders: Collection[str] = ()
    linking_table: Path | None = None


def deidentify_folder(export: Export) -> Mapping[str, int]:
    """Export every film of a folder without identity.

    The same command goes on where a killed one was, and takes up what was added, changed or
    taken away: afterwards the output holds the films that the table names, and no others.

    Args:
        export: What, where to and how.

    Returns:
        How many inputs were `exported`, `held`, `skipped` and `failed`; `inputs`, their sum; and
        how many films of earlier runs were `removed`.

    Raises:
        ConfigurationError: As `check_places`; or if the output holds films of another key, other
            options, or something else.
        RunError: OUTPUT_UNWRITABLE.
    """
    check_places(export)
    films = collect(export.source, show_progress=True)
    check_writable(export.output)
    with output_errors():
        for unfinished in export.output.rglob(".writing-*"):
            unfinished.unlink(missing_ok=True)
        run = _Run(export)
        rows = list(run.rows(films))
        removed = _remove_others(export.output / FILMS, {export.output / r.file for r in rows})
        run.ledger.finish()
        write_table(export.output, rows)
        if export.linking_table is not None:
            write_linking_table(export.linking_table, run.links(films, rows))
    counts = Counter(row.outcome for row in rows)
    told = {name: counts[name] for name in _OUTCOMES}
    return {"inputs": len(rows), **told, "removed": removed}


_OUTCOMES = (EXPORTED, HELD, "skipped", "failed")


def _remove_others(films: Path, named: Collection[Path]) -> int:
    """Remove films of earlier runs that no row names, and folders without content; count films."""
    removed = 0
    if films.is_symlink():  # nothing is written through it either
        return removed
    for folder, folders, names in os.walk(films, topdown=False):
        for path in (Path(folder, name) for name in names if _OWN_FILE.fullmatch(name)):
            if path not in named:
                path.unlink(missing_ok=True)
                removed += 1
        for path in (Path(folder, name) for name in folders):
            if not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
    return removed


def check_places(export: Export) -> None:
    """Refuse an output in the source or around it, and a linking table where it may not stand.

    Args:
        export: What is asked for.

    Raises:
        ConfigurationError: If source and output lie in each other; if the linking table lies in
            one of them, or would take the place of a file that is none.
    """
    source, output = export.source.resolve(), export.output.resolve()
    if source.is_relative_to(output) or output.is_relative_to(source):
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected OUTPUT outside of INPUT and INPUT outside of OUTPUT, got one inside the "
            "other; choose another OUTPUT",
        )
    table = export.linking_table
    if table is not None:
        keep_apart(table, export, "the linking table")
        if os.path.lexists(table) and not is_linking_table(table):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected a new file for the linking table, or one of an earlier run, got another "
                "file; choose another --linking-table",
            )


def keep_apart(path: Path, export: Export, name: str) -> None:
    """Refuse a secret in the folder that is handed on, and in the one that is not changed.

    Args:
        path: Of the secret.
        export: What is asked for.
        name: What it is, for the message.

    Raises:
        ConfigurationError: If the secret would stand in the source or the output.
    """
    places = {"OUTPUT, which is handed on": export.output, "INPUT": export.source}
    for told, place in places.items():
        if path.resolve().is_relative_to(place.resolve()):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected {name} outside of {told}, got it inside; choose another place",
            )


class _Run:
    """Does one film after the other, and remembers what an earlier run did."""

    def __init__(self, export: Export) -> None:
        self.export = export
        self.cleaner = Cleaner(export.key, export.options)
        self.root = export.source.resolve()
        self.ledger = Ledger(
            export.output,
            {
                "plainfilm": pipelines.__version__,
                "table": TABLE_EDITION,
                "key": export.key.fingerprint(),
                "options": str(export.options),
                "folders": export.key.name("folders", "/".join(sorted(export.keep_folders))),
            },
        )

    def rows(self, films: Films) -> Iterator[Row]:
        """Yield what became of each input; frames of one file are one input."""
        for refusal in films.refusals:
            yield self._refused(refusal)
        paths = paths_by_name(films)
        for name, path in progress(paths.items(), "de-identifying", total=len(paths)):
            yield self._row(path, name)

    def links(self, films: Films, rows: list[Row]) -> Iterator[tuple[str, ...]]:
        """Yield what leads back: one row an input, in the order of the inputs."""
        files = {row.input: row.file for row in rows}
        paths = paths_by_name(films)
        for name in [*(each.filename for each in films.refusals), *paths]:
            pseudonym = self._input(name)
            yield pseudonym, name, files.get(pseudonym, ""), *_identity(paths.get(name))

    def _row(self, path: Path, name: str) -> Row:
        stamp = self._stamp(path, name)
        known = self.ledger.find(stamp)
        if known is not None and self._stands(known):
            return known
        row = self._export(path, name)
        self.ledger.add(stamp, row)
        return row

    def _stands(self, row: Row) -> bool:
        """Whether an earlier answer is still the right one."""
        held = self._held(row.flags.split())
        if row.outcome == HELD:
            return bool(held)
        if row.outcome == EXPORTED:
            return not held and (self.export.output / row.file).is_file()
        return row.outcome == "skipped"

    def _held(self, flags: Collection[str]) -> list[str]:
        return [flag for flag in flags if flag not in self.export.include]

    def _export(self, path: Path, name: str) -> Row:
        film: Film | None = None
        try:
            film = inspect_film(path)
            held = self._held(film.flags)
            if held:
                return Row("", HELD, held[0], " ".join(film.flags), self._input(name))
            place = f"{FILMS}/{self._folders(name)}{place_of(film, self.cleaner)}"
            write_film(film, self._target(place), self.cleaner)
        except (OSError, RunError):
            raise
        except Exception as error:  # noqa: BLE001 - one film that cannot be done stops no others
            return self._refused(Refusal.of(name, refusal_of(error)), film)
        return Row(place, EXPORTED, "", " ".join(film.flags), self._input(name))

    def _refused(self, refusal: Refusal, film: Film | None = None) -> Row:
        flags = " ".join(film.flags) if film is not None else ""
        pseudonym = self._input(refusal.filename)
        return Row("", refusal.outcome, refusal.reason, flags, pseudonym)

    def _folders(self, name: str) -> str:
        """The folders of an input that stay, each with a `/` behind it."""
        parents = PurePosixPath(name).parts[:-1]
        return "".join(f"{part}/" for part in parents if part in self.export.keep_folders)

    def _target(self, place: str) -> Path:
        """Where a film is written: always below OUTPUT, whatever links stand there.

        Raises:
            RunError: OUTPUT_UNWRITABLE if a link leads out.
        """
        output = self.export.output.resolve()
        target = output / place
        if not target.parent.resolve().is_relative_to(output):
            raise RunError(
                Reason.OUTPUT_UNWRITABLE,
                "expected folders in OUTPUT, got a link out of it; remove it",
            )
        return target

    def _input(self, name: str) -> str:
        return self.export.key.name("input", name)

    def _stamp(self, path: Path, name: str) -> str:
        try:
            status = path.stat()
        except OSError:  # reading it says why
            return self.export.key.name("stamp", name)
        look = f"{name}\n{status.st_size}\n{status.st_mtime_ns}"
        return self.export.key.name("stamp", look)


def paths_by_name(films: Films) -> dict[str, Path]:
    """Return each file of films once, by its name: a file of several frames is one input.

    Args:
        films: What a folder holds.
    """
    several = {item.path for item in films.items if item.frame == 1}
    return {
        item.filename.removesuffix("#1") if item.path in several else item.filename: item.path
        for item in films.items
        if item.frame == 0
    }


def _identity(path: Path | None) -> tuple[str, str, str]:
    try:
        header = read_header(path) if path is not None else None
    except PlainfilmError:
        header = None
    if header is None:
        return "", "", ""
    found = header.identity
    return found.patient_id, found.study_instance_uid, found.sop_instance_uid
