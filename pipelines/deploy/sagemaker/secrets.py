"""A job's file holds no key: whatever looks like one is refused, and never shown."""

import re
from collections.abc import Iterator

_KEY_ID = re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")
_NAMED = re.compile(
    r"secret[_-]?(?:access[_-]?)?key|access[_-]?key|session[_-]?token|password|passwd|api[_-]?key",
    re.IGNORECASE,
)
_WHERE = re.compile(r"(?:arn:|s3://)[^\s'\"]+")
_APART = re.compile(r"[\s'\",:;=\[\]{}()#]+")
_LONG = re.compile(r"[A-Za-z0-9][A-Za-z0-9/+]{39}|[A-Za-z0-9][A-Za-z0-9/+]{99,}")
_HIDDEN = "[key]"


def lines_with_secrets(text: str) -> Iterator[int]:
    r"""Give the numbers, from 1, of lines that hold what looks like a key of AWS or a password.

    Args:
        text: A whole file, comments too.

    Examples:
        >>> list(lines_with_secrets("role: x\nkey: AKIA" + "A" * 16))
        [2]
    """
    for number, line in enumerate(text.splitlines(), start=1):
        plain = _WHERE.sub(" ", line)
        named = _NAMED.search(plain.partition(":")[0])
        if named or _KEY_ID.search(line) or any(map(_is_random, _APART.split(plain))):
            yield number


def without_secrets(text: str, known: Iterator[str]) -> str:
    """Leave keys out of a text of somebody else, such as the answer of a service.

    Args:
        text: What is told.
        known: Keys of this process.
    """
    for each in known:
        text = text.replace(each, _HIDDEN)
    return _KEY_ID.sub(_HIDDEN, text)


def _is_random(word: str) -> bool:
    """Whether a word is as long as a secret key, or longer, and mixed as one is."""
    mixed = re.search("[a-z]", word) and re.search("[A-Z]", word) and re.search("[0-9]", word)
    return bool(_LONG.fullmatch(word.rstrip("=")) and mixed)
