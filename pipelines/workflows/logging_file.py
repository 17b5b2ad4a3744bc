"""A bundle's `logging.conf`: whether Python's `logging.config.fileConfig` can read it."""

import configparser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipelines.nearest import did_you_mean
from pipelines.workflows.problem import Problem

_KINDS = ("logger", "handler", "formatter")
_REFERS = {"logger": ("handlers", "handler"), "handler": ("formatter", "formatter")}
"""Which option of a section names what is declared in another list."""


def check_logging(path: Path, file: str) -> Iterator[Problem]:
    """Find sections that are missing and names that nothing declares.

    Args:
        path: The file.
        file: Its name for messages.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        text = path.read_text(encoding="utf-8")
        parser.read_string(text)
    except (OSError, UnicodeDecodeError):
        yield Problem(file, "", "expected a readable text file in UTF-8")
        return
    except configparser.Error as error:
        said = str(error.message).partition("\n")[0]
        line = getattr(error, "lineno", None)
        yield Problem(file, "", f"no valid configuration of logging: {said}", line)
        return
    lines = {each.strip(): number for number, each in enumerate(text.splitlines(), start=1)}
    declared = {kind: _names(parser.get(f"{kind}s", "keys", fallback="")) for kind in _KINDS}
    for section, message in _complaints(parser, declared):
        yield Problem(file, section, message, lines.get(f"[{section}]"))


def _complaints(
    parser: configparser.ConfigParser, declared: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield the section and what is wrong with it."""
    for kind, names in declared.items():
        listing = f"{kind}s"
        if not parser.has_option(listing, "keys"):
            close = did_you_mean(listing, parser.sections())
            yield "", f"the section [{listing}] with keys = … is missing{close}"
        for name in names:
            section = f"{kind}_{name}"
            if parser.has_section(section):
                yield from _lost_names(parser, section, declared)
            else:
                close = did_you_mean(section, parser.sections())
                yield listing, f"the section [{section}] is missing{close}"
    if "root" not in declared["logger"] and parser.has_option("loggers", "keys"):
        yield "loggers", "the logger root is missing"


def _lost_names(
    parser: configparser.ConfigParser, section: str, declared: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield names of handlers or formatters that are not declared."""
    option, kind = _REFERS.get(section.partition("_")[0], ("", ""))
    for name in _names(parser.get(section, option, fallback="")):
        if name not in declared[kind]:
            yield section, f"no {kind} is called '{name}'{did_you_mean(name, declared[kind])}"


def _names(listed: str) -> list[str]:
    return [each.strip() for each in listed.split(",") if each.strip()]
