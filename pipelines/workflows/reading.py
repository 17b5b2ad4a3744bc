"""Configuration files as MONAI reads them, with line numbers and the traps of JSON and YAML."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from pipelines.workflows.problem import Problem

if TYPE_CHECKING:
    import yaml

SEPARATOR = "::"

MOST_LEVELS = 100
"""How deep a file may nest: whatever goes through it, here and in MONAI, calls itself for each."""

MOST_VALUES = 100_000
"""Values in a YAML file, with what an alias stands for counted each time: ten lines can hold more
than any memory."""

_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],\n]')
_EXPONENT = re.compile(r"[-+]?\d[\d_]*(\.\d*)?[eE][-+]?\d+")
_LEADING_ZERO = re.compile(r"[-+]?0\d+")
_SEXAGESIMAL = re.compile(r"[-+]?\d+(:\d+)+(\.\d*)?")


@dataclass(slots=True)
class Document:
    """A configuration file that was read.

    Attributes:
        file: Its name for messages, relative to the bundle.
        content: What stands in it; empty when it cannot be read.
        lines: Line of each key by id, from 1.
        problems: What is wrong with the file as JSON or YAML.
    """

    file: str
    content: dict[str, object] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, place: str) -> int | None:
        """Return the line of a key, or of the nearest key around it."""
        parts = place.split(SEPARATOR)
        while parts:
            line = self.lines.get(SEPARATOR.join(parts))
            if line:
                return line
            parts.pop()
        return None


def normal_id(key: str) -> str:
    """Write an id with `::` between its parts and without the `+` that asks for merging."""
    return key.replace("#", SEPARATOR).removeprefix("+")


def read_document(path: Path, file: str) -> Document:
    """Read a configuration file; whatever is wrong with it becomes a problem.

    Args:
        path: A JSON or YAML file.
        file: Name of the file for messages.
    """
    document = Document(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        document.problems.append(Problem(file, "", "expected a readable text file in UTF-8"))
        return document
    content = _read_json(text, document) if path.suffix == ".json" else _read_yaml(text, document)
    if isinstance(content, dict):
        document.content = {str(key): value for key, value in content.items()}
    elif not document.problems:
        found = type(content).__name__
        document.problems.append(Problem(file, "", f"expected an object with keys, got {found}"))
    return document


def _read_json(text: str, document: Document) -> object:
    try:
        content: object = json.loads(text, parse_constant=refuse_constant)
    except ValueError as error:
        line = getattr(error, "lineno", None) or _line_of_constant(text)
        said = getattr(error, "msg", str(error))
        document.problems.append(Problem(document.file, "", f"no valid JSON: {said}", line))
        return None
    except RecursionError:
        _refuse_levels(document)
        return None
    if _find_json_lines(text, document) > MOST_LEVELS:
        _refuse_levels(document)
        return None
    return content


def _refuse_levels(document: Document) -> None:
    message = f"expected at most {MOST_LEVELS} levels of objects and lists inside each other"
    document.problems.append(Problem(document.file, "", f"{message}, got more"))


def refuse_constant(name: str) -> NoReturn:
    """Refuse what Python's parser takes beyond JSON, for its `parse_constant`.

    Args:
        name: `NaN`, `Infinity` or `-Infinity`.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{name} is no number of JSON")


def _line_of_constant(text: str) -> int | None:
    starts = (match.start() for match in _NO_NUMBER.finditer(text) if match[1])
    return next((text.count("\n", 0, start) + 1 for start in starts), None)


@dataclass(slots=True)
class _Level:
    """An object or an array that the scan is inside of."""

    place: str
    keys: set[str] | None
    child: str = "0"
    expects_key: bool = True

    def child_id(self) -> str:
        return f"{self.place}{SEPARATOR}{self.child}" if self.place else normal_id(self.child)

    def next_child(self) -> None:
        if self.keys is None:
            self.child = str(int(self.child) + 1)
        self.expects_key = self.keys is not None


def _find_json_lines(text: str, document: Document) -> int:
    """Note the line of every key in valid JSON, and name keys given twice; return how deep it is.

    Nothing is noted of what lies deeper than may be.
    """
    levels: list[_Level] = []
    line, deepest = 1, 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
        elif token in "{[":
            place = levels[-1].child_id() if levels else ""
            document.lines.setdefault(place, line)
            levels.append(_Level(place, set() if token == "{" else None))
            deepest = max(deepest, len(levels))
            if deepest > MOST_LEVELS:
                break
        elif token in "}]":
            levels.pop()
        elif token == ",":
            levels[-1].next_child()
        elif levels and levels[-1].keys is not None and levels[-1].expects_key:
            key = json.loads(token) if "\\" in token else token[1:-1]
            _note_key(key, levels[-1], line, document)
    return deepest


def _note_key(key: str, level: _Level, line: int, document: Document) -> None:
    level.child, level.expects_key = key, False
    place = level.child_id()
    if level.keys is not None and key in level.keys:
        document.problems.append(
            Problem(document.file, place, "the key is given twice; only the last one counts", line)
        )
    if level.keys is not None:
        level.keys.add(key)
    document.lines[place] = line


def _read_yaml(text: str, document: Document) -> object:
    import yaml

    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return {}
        extent = _extent(node, {})
        if extent.levels > MOST_LEVELS:
            _refuse_levels(document)
            return None
        if extent.values > MOST_VALUES:
            message = f"expected at most {MOST_VALUES} values, aliases counted, got more"
            document.problems.append(Problem(document.file, "", message))
            return None
        _find_yaml_traps(node, "", document)
        return loader.construct_document(node)
    except RecursionError:
        _refuse_levels(document)
    # Beside its own errors PyYAML lets through what its constructors meet in a value: ValueError,
    # KeyError, AttributeError and more.
    except Exception as error:  # noqa: BLE001
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or "cannot be parsed"
        line = mark.line + 1 if mark else None
        document.problems.append(Problem(document.file, "", f"no valid YAML: {said}", line))
    return None


class _Extent(NamedTuple):
    """How much a node of YAML holds: values, with aliases followed, and levels."""

    values: int
    levels: int


_ENDLESS = _Extent(MOST_VALUES + 1, 0)
"""What holds itself."""


def _extent(node: "yaml.Node", known: dict[int, _Extent]) -> _Extent:
    """Measure a node and what is in it, each node once."""
    if id(node) not in known:
        known[id(node)] = _ENDLESS  # for an alias inside it
        inner = [
            _extent(each, known)
            for child in (node.value if isinstance(node.value, list) else ())
            for each in (child if isinstance(child, tuple) else (child,))
        ]
        values = min(1 + sum(each.values for each in inner), MOST_VALUES + 1)
        known[id(node)] = _Extent(values, 1 + max((each.levels for each in inner), default=0))
    return known[id(node)]


def _find_yaml_traps(node: "yaml.Node", place: str, document: Document) -> None:
    import yaml

    line = node.start_mark.line + 1
    document.lines.setdefault(place, line)
    if isinstance(node, yaml.ScalarNode):
        trap = _yaml_trap(node)
        if trap:
            document.problems.append(Problem(document.file, place, trap, line))
    elif isinstance(node, yaml.SequenceNode):
        for index, each in enumerate(node.value):
            _find_yaml_traps(each, f"{place}{SEPARATOR}{index}", document)
    elif isinstance(node, yaml.MappingNode):
        level = _Level(place, set())
        for key, value in node.value:
            _note_key(str(key.value), level, key.start_mark.line + 1, document)
            if key.value == "<<":
                message = "MONAI cannot read YAML merge keys (<<); write the keys out"
                document.problems.append(
                    Problem(document.file, place, message, key.start_mark.line + 1)
                )
            _find_yaml_traps(value, level.child_id(), document)


def _yaml_trap(node: "yaml.ScalarNode") -> str | None:
    """Say what YAML 1.1 makes of an unquoted value that looks like something else."""
    if node.style is not None:
        return None
    written, tag = str(node.value), node.tag.rpartition(":")[2]
    if tag == "str" and _EXPONENT.fullmatch(written):
        mantissa, _, exponent = written.lower().partition("e")
        dotted = mantissa if "." in mantissa else f"{mantissa}.0"
        signed = exponent if exponent[0] in "+-" else f"+{exponent}"
        return f"YAML reads {written} as a string; write {dotted}e{signed}"
    if tag == "int" and _LEADING_ZERO.fullmatch(written):
        return (
            f"YAML reads {written} as the octal number {int(written, 8)}; drop the zero or quote it"
        )
    if tag == "int" and _SEXAGESIMAL.fullmatch(written):
        return f"YAML reads {written} as a number to base 60; quote it"
    if tag == "bool" and written.lower() not in {"true", "false"}:
        return f"YAML reads {written} as {_is_yes(written)}; write true or false, or quote it"
    return None


def _is_yes(written: str) -> str:
    return "true" if written.lower() in {"yes", "on", "y"} else "false"
