"""One mapping of a configuration file, read key by key; whatever is wrong becomes a problem."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pipelines.nearest import nearest, right_names
from pipelines.workflows.problem import Problem
from pipelines.workflows.reading import SEPARATOR, Document

Value = TypeVar("Value")
Parse = Callable[[object], Value]
"""Turns what stands in the file into a value; raises WrongValueError with the rule it breaks."""

_AE_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_LONGEST_SHOWN = 40


class WrongValueError(ValueError):
    """A value that breaks the rule in its message: `a whole number from 1 to 9`."""


class Section:
    """A mapping at one place of the file.

    Args:
        document: The file, which collects the problems.
        content: What stands at the place.
        place: Id of the place; empty for the whole file.
    """

    def __init__(self, document: Document, content: object, place: str = "") -> None:
        self._document = document
        self._place = place
        self._asked: list[str] = []
        self._content: Mapping[object, object] = {}
        if isinstance(content, Mapping):
            self._content = content
        elif content is not None:
            self.complain("", f"expected keys with values, got {_shown(content)}")

    def __contains__(self, key: str) -> bool:
        """Whether a key is given."""
        return key in self._content

    def names(self) -> list[str]:
        """Every key as text, in the order of the file."""
        return [str(key) for key in self._content]

    def value(
        self, key: str, parse: Parse[Value], default: Value, *, secret: bool = False
    ) -> Value:
        """Return the value of a key; the default where it is absent, empty or wrong.

        Args:
            key: The key.
            parse: Turns what is given into the value.
            default: What an absent key stands for.
            secret: Leave a wrong value out of the message: it may be a secret in the wrong place.
        """
        self._asked.append(key)
        given = self._content.get(key)
        if given is None:
            return default
        try:
            return parse(given)
        except WrongValueError as rule:
            self.complain(
                key, f"expected {rule}, got {'another text' if secret else _shown(given)}"
            )
            return default

    def required(self, key: str, parse: Parse[Value], default: Value) -> Value:
        """Return the value of a key that must be there; the default only stands in for it."""
        if self._content.get(key) is None:
            self.complain("", f"expected the key '{key}'{self._misspelt(key)}")
        return self.value(key, parse, default)

    def section(self, key: str) -> "Section":
        """Return the mapping under a key; an empty one where it is absent."""
        self._asked.append(key)
        return Section(self._document, self._content.get(key), self._inside(key))

    def sections(self, key: str) -> Iterator["Section"]:
        """Return the mappings of the list under a key."""
        self._asked.append(key)
        given = self._content.get(key)
        items: Sequence[object] = given if isinstance(given, list) else []
        if given is not None and not isinstance(given, list):
            self.complain(key, f"expected a list, got {_shown(given)}")
        for index, item in enumerate(items):
            yield Section(self._document, item or {}, f"{self._inside(key)}{SEPARATOR}{index}")

    def end(self) -> None:
        """Complain about every key that nothing asked for."""
        for key in self.names():
            if key not in self._asked:
                self.complain(key, f"no key of this name{right_names(key, self._asked)}")

    def complain(self, key: str, message: str) -> None:
        """Note a problem with a key; with the mapping itself where the key is empty."""
        place = self._inside(key) if key else self._place
        line = self._document.line_of(place)
        self._document.problems.append(Problem(self._document.file, place, message, line))

    def _inside(self, key: str) -> str:
        return f"{self._place}{SEPARATOR}{key}" if self._place else key

    def _misspelt(self, key: str) -> str:
        close = nearest(key, self.names())
        return f"; is '{close}' meant?" if close else ""


def whole(least: int, most: int) -> Parse[int]:
    """Parse a whole number of a range."""

    def parse(given: object) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            raise WrongValueError(f"a whole number from {least} to {most}")
        return given

    return parse


def number(least: float, most: float) -> Parse[float]:
    """Parse a number of a range."""

    def parse(given: object) -> float:
        right = isinstance(given, int | float) and not isinstance(given, bool)
        if not right or not math.isfinite(given) or not least <= given <= most:  # type: ignore[arg-type,operator]
            raise WrongValueError(f"a number from {least:g} to {most:g}")
        return float(given)  # type: ignore[arg-type]

    return parse


def flag(given: object) -> bool:
    """Parse true or false.

    Raises:
        WrongValueError: If it is neither.
    """
    if not isinstance(given, bool):
        raise WrongValueError("true or false")
    return given


def text(given: object) -> str:
    """Parse a text that is not empty.

    Raises:
        WrongValueError: If it is none.
    """
    if not isinstance(given, str) or not given.strip():
        raise WrongValueError("a text")
    return given


def matching(pattern: re.Pattern[str], rule: str) -> Parse[str]:
    """Parse a text that a pattern matches as a whole.

    Args:
        pattern: The pattern.
        rule: It in words.
    """

    def parse(given: object) -> str:
        if not isinstance(given, str) or not pattern.fullmatch(given):
            raise WrongValueError(rule)
        return given

    return parse


ae_title = matching(_AE_TITLE, "an AE title: 1 to 16 characters, no backslash, no outer space")
host = matching(_HOST, "a host name or an IP address")
variable = matching(
    _VARIABLE, "the name of an environment variable, in capitals, that holds the value"
)


def words(*, one_of: Sequence[str] = (), upper: bool = False) -> Parse[tuple[str, ...]]:
    """Parse a text or a list of different texts.

    Args:
        one_of: What each may be, as they are written; any text where this is empty.
        upper: Turn them into capitals.
    """
    rule = f"one or several of {', '.join(one_of)}" if one_of else "a text or a list of texts"

    def parse(given: object) -> tuple[str, ...]:
        items = given if isinstance(given, list) else [given]
        written = [item.strip() for item in items if isinstance(item, str)]
        if not items or len(written) < len(items) or not all(written):
            raise WrongValueError(rule)
        folded = [item.upper() if upper else item for item in written]
        if one_of and not {*folded} <= {*one_of}:
            raise WrongValueError(rule)
        return tuple(dict.fromkeys(folded))

    return parse


def existing_file(folder: Path) -> Parse[Path]:
    """Parse the path of a file that is there.

    Args:
        folder: What a relative path starts from.
    """

    def parse(given: object) -> Path:
        path = folder / text(given)
        if not path.is_file():
            raise WrongValueError("the path of an existing file")
        return path

    return parse


def _shown(value: object) -> str:
    written = json.dumps(value, ensure_ascii=False, default=str)
    return written if len(written) <= _LONGEST_SHOWN else f"{written[: _LONGEST_SHOWN - 1]}…"
