"""Find every mistake in a bundle at once, without importing what it names.

Each mistake is said once: what only follows from another one (a missing id whose misspelling was
named, an argument of a misspelt target) is left out.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from pipelines.errors import ConfigurationError
from pipelines.nearest import did_you_mean, nearest
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.components import (
    TARGET,
    check_components,
    component_signature,
    is_component,
)
from pipelines.workflows.expressions import check_expression
from pipelines.workflows.logging_file import check_logging
from pipelines.workflows.manifest import MANIFEST, manifest_problems
from pipelines.workflows.merging import exists, look_up, merge_key, nearest_id, walk
from pipelines.workflows.metadata import check_metadata
from pipelines.workflows.problem import COMMAND_LINE, Problem
from pipelines.workflows.reading import SEPARATOR, Document, normal_id, read_document
from pipelines.workflows.references import Complaint, check_references, is_within
from pipelines.workflows.required import Kind, check_names, check_required
from pipelines.workflows.sources import Missing, Sources
from pipelines.workflows.values import check_kind, check_least

META = {"_meta_"}
"""Where the metadata stand among the ids; nobody means to set them."""

NEW = "_new_"
"""Top-level key of an overlay: the ids that it adds on purpose."""

_MOST_COMPLAINTS = 100
"""Of one kind in one configuration: nobody reads more, and each may cost a look at every key."""

_EXPECTED_FILES = (
    "configs/train.json",
    "configs/inference.json",
    "configs/metadata.json",
    "configs/logging.conf",
    "LICENSE",
    "docs/README.md",
    "docs/data_license.txt",
)


def check_bundle(
    bundle: Bundle,
    *,
    base: Kind | None = None,
    overlays: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> list[Problem]:
    """Check a whole bundle, or what is about to be run of it.

    Args:
        bundle: The bundle.
        base: Check only this configuration, with the overlays and overrides; by default everything
            in the bundle is checked, each overlay merged after `train.json` or `inference.json`,
            whichever it fits better.
        overlays: Names or paths of overlays to merge.
        overrides: Values by id, set last.

    Returns:
        All problems, in the order of files and lines; empty when there is none. Of one kind in one
        configuration the first hundred.

    Raises:
        ConfigurationError: If an overlay does not exist.
    """
    checker = _Checker(bundle)
    if base is not None or overlays or overrides:
        checker.check_run(base or Kind.TRAIN, overlays, overrides or {})
    else:
        checker.check_everything()
    order = {file: index for index, file in enumerate(dict.fromkeys(p.file for p in checker.found))}
    return sorted(
        dict.fromkeys(checker.found),
        key=lambda each: (order[each.file], each.line or 0, each.place),
    )


@dataclass(slots=True)
class _Layers:
    """Configurations merged so far, and which file has the last word on a place."""

    merged: dict[str, object] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)

    def owner(self, place: str) -> Document:
        for document in reversed(self.documents[1:]):
            if is_within(place, map(normal_id, document.content)):
                return document
        return self.documents[0]

    def problem(self, complaint: Complaint) -> Problem:
        owner, place = self.owner(complaint.place), complaint.place
        line = owner.line_of(place) if owner.file != COMMAND_LINE else None
        return Problem(owner.file, place, complaint.message, line)


@dataclass(frozen=True, slots=True)
class _Base:
    """A base configuration that was read and checked, before anything is merged after it."""

    layers: _Layers
    complaints: list[Complaint]
    found: list[Problem]

    def copy(self) -> _Layers:
        """Return layers that later ones may be merged into."""
        return _Layers(copy.deepcopy(self.layers.merged), [*self.layers.documents])


@dataclass(slots=True)
class _Known:
    """What is read and checked once, whatever is merged after it."""

    metadata: Document
    sources: Sources = field(default_factory=Sources)
    bases: dict[Kind, _Base] = field(default_factory=dict)
    expressions: dict[str, str | None] = field(default_factory=dict)


class _Checker:
    """Collects the problems of one bundle.

    Args:
        bundle: The bundle.
        known: What another checker of the same bundle knows.
    """

    def __init__(self, bundle: Bundle, known: _Known | None = None) -> None:
        self.bundle = bundle
        self.known = known or _Known(_metadata(bundle))
        self.found: list[Problem] = []

    def check_everything(self) -> None:
        """Check files, metadata, both base configurations, each overlay and the manifest."""
        missing = list(self._missing_files())
        metadata = self.known.metadata
        self.found += [*missing, *metadata.problems]
        if metadata.content:
            layers = _Layers(documents=[metadata])
            self.found += map(layers.problem, check_metadata(metadata.content))
        self.check_run(Kind.TRAIN, (), {})
        absent = [Path(each.file).stem for each in missing]
        for overlay in self.bundle.overlays():
            if not nearest(overlay.stem, absent):
                self.found += self._overlay_problems(overlay.name)
        self.check_run(Kind.INFERENCE, (), {})
        # A mistake says more than that its file differs from the manifest, which follows from it.
        if not self.found and (self.bundle.root / MANIFEST).exists():
            self.found += manifest_problems(self.bundle)

    def _overlay_problems(self, overlay: str) -> list[Problem]:
        """Check an overlay after the base that it is meant for: the one it breaks less."""
        tried: list[list[Problem]] = []
        for kind in (Kind.TRAIN, Kind.INFERENCE):
            checker = _Checker(self.bundle, self.known)
            checker.check_run(kind, [overlay], {})
            tried.append([problem for problem in checker.found if problem not in self.found])
            if not tried[-1]:
                break
        return min(tried, key=len)

    def check_run(
        self, kind: Kind, overlays: Sequence[str], overrides: Mapping[str, object]
    ) -> None:
        """Check one base configuration with what is merged after it."""
        if kind not in self.known.bases:
            self.known.bases[kind] = _Checker(self.bundle, self.known)._check_base(kind)
        base = self.known.bases[kind]
        self.found += base.found
        if not base.layers.merged:
            return
        later = [self._read(self.bundle.overlay(name)) for name in overlays]
        if overrides:
            given = {normal_id(key): value for key, value in overrides.items()}
            later.append(Document(COMMAND_LINE, given))
        if later:
            self._check_later(base.copy(), kind, later, base.complaints)

    def _check_base(self, kind: Kind) -> _Base:
        """Check a base configuration; what cannot be read has nothing in it."""
        if self.bundle.logging.is_file():
            self.found += check_logging(self.bundle.logging, "configs/logging.conf")
        path = self.bundle.train if kind is Kind.TRAIN else self.bundle.inference
        layers = _Layers()
        if not path.is_file():
            self.found += [each for each in self._missing_files() if each.file.endswith(path.name)]
            return _Base(layers, [], self.found)
        document = self._read(path)
        if not document.content:
            return _Base(layers, [], self.found)
        layers.documents.append(document)
        for key, value in document.content.items():
            self._merge(layers, key, value)
        layers.merged["_meta_"] = self.known.metadata.content
        complaints = list(self._complaints(layers.merged, kind))
        self.found += map(layers.problem, complaints)
        return _Base(layers, complaints, self.found)

    def _check_later(
        self, layers: _Layers, kind: Kind, later: list[Document], known: list[Complaint]
    ) -> None:
        """Merge overlays and overrides; say what was not said of the base already."""
        blamed = {each.meant for each in known if each.meant}
        for document in later:
            layers.documents.append(document)
            self._merge_later(layers, document, blamed)
        said = {(each.place, each.meant or each.message) for each in known}
        for complaint in self._complaints(layers.merged, kind):
            if (complaint.place, complaint.meant or complaint.message) not in said:
                problem = layers.problem(complaint)
                if problem.file == layers.documents[0].file:
                    names = " and ".join(each.file for each in later)
                    problem = replace(problem, message=f"{problem.message} (after {names})")
                self.found.append(problem)

    def _complaints(self, merged: Mapping[str, object], kind: Kind) -> Iterator[Complaint]:
        inside = list(walk(merged))
        components = _first(check_components(merged, inside, self.known.sources))
        blamed = {each.meant for each in components if each.meant}
        required = list(check_required(merged, kind, blamed))
        blamed |= {each.meant for each in required if each.meant}
        yield from (*components, *required)
        yield from _first(check_references(merged, inside, blamed))
        yield from check_names(merged, kind)
        yield from check_least(inside)
        for place, value in inside:
            if isinstance(value, str) and value.startswith("$"):
                message = self._judged(value)
                if message:
                    yield Complaint(place, message)

    def _judged(self, expression: str) -> str | None:
        judged = self.known.expressions
        if expression not in judged:
            judged[expression] = check_expression(expression, self.known.sources)
        return judged[expression]

    def _merge_later(self, layers: _Layers, document: Document, blamed: set[str]) -> None:
        marked = document.content.get(NEW)
        new = set(map(str, marked)) if isinstance(marked, list) else set()
        most = len(self.found) + _MOST_COMPLAINTS
        for key, value in document.content.items():
            place = normal_id(key)
            if is_within(place, blamed) or len(self.found) > most:
                continue
            if (
                key.startswith("_")
                or exists(layers.merged, key)
                or place in new
                or self._is_argument(layers, place)
            ):
                wrong = self._wrong_kind(layers, document, place, value)
                if wrong is None:
                    self._merge(layers, key, value)
                else:
                    self.found.append(layers.problem(wrong))
                continue
            close = nearest_id(layers.merged, key)
            hint = f"; did you mean '{close}'?" if close and not is_within(close, META) else ""
            if document.file != COMMAND_LINE:
                hint += (
                    f"{' A' if hint else '. A'} key that is new on purpose is listed under {NEW}"
                )
            message = f"{layers.documents[0].file} has no such key{hint}"
            self.found.append(layers.problem(Complaint(place, message)))

    def _is_argument(self, layers: _Layers, place: str) -> bool:
        """Whether the check of arguments will judge this key."""
        parent = look_up(layers.merged, place.rpartition(SEPARATOR)[0])
        if not isinstance(parent, Mapping) or not is_component(parent):
            return False
        signature = component_signature(parent[TARGET], self.known.sources)
        name = place.rpartition(SEPARATOR)[2]
        return isinstance(signature, Missing) or not signature.is_open or name in signature.names

    def _wrong_kind(
        self, layers: _Layers, document: Document, place: str, value: object
    ) -> Complaint | None:
        """What is wrong with the kind of a value of the command line; files are left their say."""
        if document.file != COMMAND_LINE:
            return None
        return check_kind(place, present=look_up(layers.merged, place), given=value)

    def _merge(self, layers: _Layers, key: str, value: object) -> None:
        try:
            merge_key(layers.merged, key, value)
        except ConfigurationError as error:
            self.found.append(layers.problem(Complaint(normal_id(key), str(error))))

    def _read(self, path: Path) -> Document:
        inside = path.is_relative_to(self.bundle.root)
        name = path.relative_to(self.bundle.root).as_posix() if inside else path.name
        document = read_document(path, name)
        self.found += document.problems
        return document

    def _missing_files(self) -> Iterator[Problem]:
        for expected in _EXPECTED_FILES:
            path = self.bundle.root / expected
            config = path.stem in {"train", "inference"}
            if path.is_file() or (
                config and self.bundle.configs.joinpath(f"{path.stem}.yaml").is_file()
            ):
                continue
            there = [each.name for each in path.parent.glob("*") if each.is_file()]
            yield Problem(expected, "", f"the file is missing{did_you_mean(path.name, there)}")


def _first(complaints: Iterable[Complaint]) -> list[Complaint]:
    return list(islice(complaints, _MOST_COMPLAINTS))


def _metadata(bundle: Bundle) -> Document:
    name = "configs/metadata.json"
    return read_document(bundle.metadata, name) if bundle.metadata.is_file() else Document(name)
