"""References (`@id`) and macros (`%id`) of a configuration: they lead somewhere, in no circle."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipelines.workflows.merging import Placed, exists, first_missing, nearest_id
from pipelines.workflows.reading import SEPARATOR

_REFERENCE = re.compile(r"@\w*(?:::\w*)*")
_RELATIVE = re.compile(r"([@%])((?:::)+)")
_MOST_PARSED = 500
"""Characters of what Python's parser is given, which calls itself for each bracket."""
_MOST_SHOWN = 20
"""Ids of a circle."""
_FILE_MACRO = re.compile(r"\.(json|ya?ml)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong at a place, before it is known which file the place stands in.

    Attributes:
        place: Id of the key.
        message: The broken rule and the nearest right name.
        meant: Id that the mistake leaves undefined; complaints about its absence would only repeat
            this one.
    """

    place: str
    message: str
    meant: str | None = None


def is_within(place: str, ids: Iterable[str]) -> bool:
    """Whether a place is one of `ids` or inside one of them."""
    return any(place == each or place.startswith(each + SEPARATOR) for each in ids)


def absolute(place: str, text: str) -> str:
    """Write relative ids (`@#a`: beside; `@##a`: one level up) as ids from the top.

    Args:
        place: Where the text stands.
        text: A value of the configuration.
    """
    text = text.replace("#", SEPARATOR)
    if "@::" not in text and "%::" not in text:
        return text
    parts = place.split(SEPARATOR)

    def replaced(match: re.Match[str]) -> str:
        kept = parts[: max(len(parts) - len(match[2]) // len(SEPARATOR), 0)]
        return match[1] + "".join(each + SEPARATOR for each in kept)

    return _RELATIVE.sub(replaced, text)


def references_in(place: str, value: object) -> Iterator[str]:
    """Yield the absolute ids that a value refers to; text that only holds an `@` refers to none."""
    if isinstance(value, str) and "@" in value:
        text = absolute(place, value)
        for match in _REFERENCE.finditer(text):
            if len(match[0]) > 1 and (text.startswith("$") or match[0] == text):
                yield match[0][1:]


def without_references(text: str, name: str) -> str:
    """Return an expression with `name` in place of every reference."""
    return _REFERENCE.sub(name, text.replace("#", SEPARATOR))


def check_references(
    config: Mapping[str, object], inside: Placed, blamed: set[str]
) -> Iterator[Complaint]:
    """Find references and macros that lead nowhere, once for each id, and circles.

    Args:
        config: A merged configuration.
        inside: Everything in it, from `walk`.
        blamed: Ids whose absence is already explained.
    """
    lost: dict[str, list[str]] = {}
    needs: dict[str, list[str]] = {}
    for place, value in inside:
        if isinstance(value, str):
            yield from _misread(place, value)
            yield from _check_macro(place, value, config)
        for target in references_in(place, value):
            for each in _around(place):
                needs.setdefault(each, []).append(target)
            missing = first_missing(config, target)
            if missing and not is_within(target, blamed):
                lost.setdefault(missing, []).append(place)
    for target, places in lost.items():
        close = nearest_id(config, target)
        hint = f"; did you mean '@{close}'?" if close else ""
        more = f" (in {len(places)} places)" if len(places) > 1 else ""
        yield Complaint(places[0], f"nothing is called '@{target}'{hint}{more}", target)
    yield from _check_circles(config, needs)


def _around(place: str) -> Iterator[str]:
    """The id itself, and those of all that it stands in."""
    while place:
        yield place
        place = place.rpartition(SEPARATOR)[0]


def _misread(place: str, value: str) -> Iterator[Complaint]:
    if not value.startswith("@"):
        return
    text = absolute(place, value)
    match = _REFERENCE.match(text)
    if match and len(match[0]) > 1 and match[0] != text:
        rest = text[len(match[0]) :]
        hint = f"${text}" if _continues(rest) else f"${match[0]} + {rest!r}"
        yield Complaint(place, f"MONAI takes '{value}' for plain text; write {hint}")


def _continues(rest: str) -> bool:
    """Whether what stands behind a reference makes an expression of it; a path does not."""
    if rest.startswith("/") or len(rest) > _MOST_PARSED:
        return False
    try:
        ast.parse(f"x{rest}", mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


def _check_macro(place: str, value: str, config: Mapping[str, object]) -> Iterator[Complaint]:
    if not value.startswith("%") or len(value) == 1:
        return
    text = absolute(place, value)
    target = text[1:]
    if _FILE_MACRO.search(target):
        message = "a macro reads a file relative to the working folder; use an overlay instead"
        yield Complaint(place, f"'{text}': {message}")
    elif not exists(config, target):
        close = nearest_id(config, target)
        hint = f"; did you mean '%{close}'?" if close else ""
        yield Complaint(place, f"nothing is called '{text}'{hint}")


def _check_circles(
    config: Mapping[str, object], needs: Mapping[str, list[str]]
) -> Iterator[Complaint]:
    """Find ids that need themselves: MONAI would raise when it builds the first of them."""
    done: set[str] = set()
    for start in _reached(config, needs):
        circle = _circle_from(start, needs, done)
        if circle:
            shown = circle if len(circle) <= _MOST_SHOWN else [*circle[:_MOST_SHOWN], "…"]
            chain = " -> ".join(each if each == "…" else f"@{each}" for each in shown)
            yield Complaint(circle[0], f"a circle of references: {chain}")
            return


def _reached(config: Mapping[str, object], needs: Mapping[str, list[str]]) -> list[str]:
    """Top-level ids, and what they and those after them refer to."""
    reached: dict[str, None] = {}
    waiting = [each for each in config if not each.startswith("_")]
    while waiting:
        target = waiting.pop()
        if target not in reached:
            reached[target] = None
            waiting.extend(needs.get(target, ()))
    return list(reached)


def _circle_from(start: str, needs: Mapping[str, list[str]], done: set[str]) -> list[str]:
    """Follow needs from an id until one comes back; without calling itself, for long chains."""
    path = {} if start in done else {start: iter(needs.get(start, ()))}
    while path:
        last = next(reversed(path))
        target = next(path[last], None)
        if target is None:
            done.add(last)
            del path[last]
        elif target in path:
            names = [*path]
            return [*names[names.index(target) :], target]
        elif target not in done:
            path[target] = iter(needs.get(target, ()))
    return []
