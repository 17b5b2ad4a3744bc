"""The configuration file of a node: read, held against every rule at once, turned into settings."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pipelines.deploy.node.parts import (
    PORTS,
    anything,
    is_loopback,
    read_batch,
    read_delivery,
    read_http,
    read_limits,
    read_peer,
    read_retention,
    read_stow,
)
from pipelines.deploy.node.section import (
    Section,
    ae_title,
    existing_file,
    host,
    number,
    text,
    whole,
    words,
)
from pipelines.deploy.node.settings import (
    Destination,
    DicomSettings,
    NodeSettings,
    Rule,
    StoreDestination,
    Tls,
)
from pipelines.deploy.packages.opened import find_model
from pipelines.errors import ConfigurationError, PlainfilmError, Reason
from pipelines.files import read_json_object
from pipelines.nearest import right_names
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.problem import Problem, first_problems
from pipelines.workflows.reading import Document, read_document
from pipelines.workflows.required import Kind

REPORT, SEGMENTATION = "sr", "seg"
DICOM_KINDS = (REPORT, SEGMENTATION, "sc", "gsps")


Value = TypeVar("Value")


def check_node(path: Path) -> list[Problem]:
    """Find every mistake in a node's configuration file, without importing what it names.

    Args:
        path: The YAML file.

    Returns:
        All problems; empty when there is none.
    """
    return _read(path)[1]


def read_node(path: Path) -> NodeSettings:
    """Read a node's configuration file.

    Args:
        path: The YAML file; relative paths in it start from its folder.

    Returns:
        The settings.

    Raises:
        ConfigurationError: If anything in it is wrong; the message names the first problems.
    """
    settings, problems = _read(path)
    if problems:
        shown = first_problems([str(each) for each in problems], of=path.name)
        raise ConfigurationError(Reason.CONFIGURATION, shown)
    return settings


def trial_settings(bundle: str, data_dir: Path) -> NodeSettings:
    """Return the settings for trying one bundle: every film is for it, on this machine alone.

    Args:
        bundle: Name or path.
        data_dir: Where the node keeps its things.

    Returns:
        The settings; reports are made, and segmentations where the bundle outlines.

    Raises:
        ConfigurationError: If there is no such bundle.
    """
    kinds = (REPORT, SEGMENTATION) if _outlines(find_model(bundle)) else (REPORT,)
    return NodeSettings(data_dir.resolve(), (Rule("all", bundle, dicom=kinds),))


def _read(path: Path) -> tuple[NodeSettings, list[Problem]]:
    document = read_document(path, path.name)
    whole_file = Section(document, document.content)
    folder = path.parent.resolve()
    if document.problems:
        return NodeSettings(folder, ()), document.problems
    reader = _Reader(document, whole_file, folder)
    settings = reader.read()
    problems = sorted(dict.fromkeys(document.problems), key=lambda each: each.line or 0)
    return settings, problems


class _Reader:
    """Reads the parts of one file.

    Args:
        document: The file.
        top: Its whole content.
        folder: What relative paths start from.
    """

    def __init__(self, document: Document, top: Section, folder: Path) -> None:
        self._document = document
        self._top = top
        self._folder = folder

    def read(self) -> NodeSettings:
        """Read everything; problems stand in the document."""
        top = self._top
        data_dir = self._folder / top.required("data_dir", text, "data")
        destinations = self._destinations(top.section("destinations"))
        rules = tuple(
            self._rule(section, f"rule {index}", destinations)
            for index, section in enumerate(top.sections("rules"), start=1)
        )
        names = [rule.name for rule in rules]
        for name in sorted({name for name in names if names.count(name) > 1}):
            top.complain("rules", f"expected a name of its own for each rule, got '{name}' twice")
        if not rules:
            top.complain("rules", "expected at least one rule: - {bundle: NAME}")
        settings = NodeSettings(
            data_dir=data_dir,
            rules=rules,
            destinations=destinations,
            dicom=self._dicom(top.section("dicom")),
            http=read_http(top.section("http")),
            delivery=read_delivery(top.section("delivery")),
            batch=read_batch(top.section("batch")),
            limits=read_limits(top.section("limits")),
            retention=read_retention(top.section("retention")),
        )
        top.end()
        return settings

    def _dicom(self, section: Section) -> DicomSettings:
        default = DicomSettings()
        peers = tuple(map(read_peer, section.sections("peers")))
        settings = DicomSettings(
            ae_title=section.value("ae_title", ae_title, default.ae_title),
            host=section.value("host", host, default.host),
            port=section.value("port", PORTS, default.port),
            max_pdu=section.value("max_pdu", whole(4_096, 1_048_576), default.max_pdu),
            max_object_mb=section.value("max_object_mb", number(0.001, 300), default.max_object_mb),
            max_associations=section.value(
                "max_associations", whole(1, 1_000), default.max_associations
            ),
            timeout_seconds=section.value(
                "timeout_seconds", number(1, 3_600), default.timeout_seconds
            ),
            peers=peers,
            tls=self._tls(section, required=("cert", "key")),
        )
        if not peers and not is_loopback(settings.host):
            section.complain(
                "host",
                "expected 127.0.0.1 where no peers are named; name who may send: "
                "peers: [{ae_title: NAME, host: ADDRESS}]",
            )
        section.end()
        return settings

    def _tls(self, section: Section, *, required: tuple[str, ...] = ()) -> Tls | None:
        given = "tls" in section
        inside = section.section("tls")
        if not given:
            return None
        parse = existing_file(self._folder)
        stand_in = self._folder
        cert, key, ca = (
            inside.required(name, parse, stand_in)
            if name in required
            else inside.value(name, parse, None)
            for name in ("cert", "key", "ca")
        )
        if (cert is None) != (key is None):
            inside.complain("", "expected cert and key together")
        inside.end()
        return Tls(cert, key, ca)

    def _destinations(self, section: Section) -> dict[str, Destination]:
        return {name: self._destination(section.section(name), name) for name in section.names()}

    def _destination(self, section: Section, name: str) -> Destination:
        destination: Destination
        if "url" in section:
            destination = read_stow(section, name, self._folder)
        else:
            destination = StoreDestination(
                name=name,
                ae_title=section.required("ae_title", ae_title, ""),
                host=section.required("host", host, ""),
                port=section.required("port", whole(1, 65_535), 1),
                tls=self._tls(section),
            )
        section.end()
        return destination

    def _rule(self, section: Section, name: str, known: Mapping[str, Destination]) -> Rule:
        overrides = section.section("overrides")
        rule = Rule(
            name=section.value("name", text, name),
            bundle=section.required("bundle", text, ""),
            modality=section.value("modality", words(upper=True), ()),
            body_part=section.value("body_part", words(upper=True), ()),
            view_position=section.value("view_position", words(upper=True), ()),
            calling_ae=section.value("calling_ae", words(upper=True), ()),
            dicom=section.value("dicom", words(one_of=DICOM_KINDS), ()),
            destinations=section.value("destinations", words(), ()),
            overlays=section.value("overlays", words(), ()),
            overrides={
                key.replace("#", "::").replace(".", "::"): overrides.value(key, anything, None)
                for key in overrides.names()
            },
        )
        self._check_rule(section, rule, known)
        section.end()
        return rule

    def _check_rule(self, section: Section, rule: Rule, known: Mapping[str, Destination]) -> None:
        for name in rule.destinations:
            if name not in known:
                section.complain(
                    "destinations", f"no destination named '{name}'{right_names(name, known)}"
                )
        if rule.destinations and not rule.dicom:
            section.complain(
                "destinations",
                f"expected dicom to say what is sent: one or several of {', '.join(DICOM_KINDS)}",
            )
        bundle = _or_complain(section, "bundle", lambda: find_model(rule.bundle), rule.bundle)
        if bundle is not None:
            self._check_bundle(section, rule, bundle)

    @staticmethod
    def _check_bundle(section: Section, rule: Rule, bundle: Bundle) -> None:
        problems = _or_complain(
            section,
            "overlays",
            lambda: check_bundle(
                bundle, base=Kind.INFERENCE, overlays=rule.overlays, overrides=rule.overrides
            ),
            rule.bundle,
        )
        if SEGMENTATION in rule.dicom and not _outlines(bundle):
            section.complain(
                "dicom", f"expected {SEGMENTATION} of a bundle that outlines, got '{bundle.name}'"
            )
        for problem in problems or []:
            section.complain("overrides" if rule.overrides else "bundle", str(problem))


def _outlines(bundle: Bundle) -> bool:
    """Whether what a bundle predicts are outlines, by the name of its last step."""
    step = read_json_object(bundle.inference).get("postprocessing")
    return isinstance(step, Mapping) and str(step.get("_target_")).endswith(".Segment")


def _or_complain(section: Section, key: str, find: Callable[[], Value], given: str) -> Value | None:
    """Return what is found; a refusal becomes a problem of the key."""
    if not given:
        return None
    try:
        return find()
    except PlainfilmError as refusal:
        section.complain(key, str(refusal))
        return None
