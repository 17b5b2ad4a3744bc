"""Changes of bytes, whatever they mean: flipped, overwritten, cut, doubled, spliced."""

from collections.abc import Callable
from random import Random

Change = Callable[[bytes, Random], bytes]
"""Makes a file of a file; every choice comes from the second argument."""

NUMBERS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 32, 127, 128, 255, 256, 4095, 4096, 7000, 32767)
LARGE_NUMBERS = (32768, 65534, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)


def place(content: bytes, random: Random) -> int:
    """Somewhere in the file; half of the times near its start, where the header is."""
    end = len(content) if random.random() < 0.5 else min(len(content), 1500)
    return random.randrange(end + 1)


def span(content: bytes, random: Random) -> tuple[int, int]:
    """Start and end of a piece of the file, most often a short one; the end may lie behind it."""
    start = place(content, random)
    return start, start + int(2 ** random.uniform(0, 10))


def number(random: Random) -> int:
    """A number at which something may change: a size, a sign, a limit of the reader; or any."""
    return random.choice((*NUMBERS, *LARGE_NUMBERS, random.getrandbits(16), random.getrandbits(32)))


def packed(number: int, size: int, order: str) -> bytes:
    """The lowest bytes of a number, in the order `<` or `>`."""
    return (number % 256**size).to_bytes(size, "little" if order == "<" else "big")


def _flipped(content: bytes, random: Random) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(random.randint(1, 8)):
        changed[min(place(content, random), len(changed) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _overwritten(content: bytes, random: Random) -> bytes:
    start, end = span(content, random)
    length = min(end - start, 16)
    fill = random.choice((b"\0", b"\xff", random.randbytes(1))) * length
    new = random.choice((fill, random.randbytes(length)))
    return content[:start] + new + content[start + length :]


def _numbered(content: bytes, random: Random) -> bytes:
    start, size = place(content, random), random.choice((1, 2, 4, 8))
    return (
        content[:start]
        + packed(number(random), size, random.choice("<>"))
        + content[start + size :]
    )


def _cut(content: bytes, random: Random) -> bytes:
    return content[: place(content, random)]


def _shortened(content: bytes, random: Random) -> bytes:
    start, end = span(content, random)
    return content[:start] + content[end:]


def _doubled(content: bytes, random: Random) -> bytes:
    start, end = span(content, random)
    times = random.choice((1, 1, 2, 50))
    return content[:end] + content[start:end] * times + content[end:]


def _lengthened(content: bytes, random: Random) -> bytes:
    start, end = span(content, random)
    return content[:start] + random.randbytes(end - start) + content[start:]


def spliced(content: bytes, other: bytes, random: Random) -> bytes:
    """Put a piece of another file into a file, or in the place of a piece of it."""
    start, end = span(other, random)
    at = place(content, random)
    return content[:at] + other[start:end] + content[at + random.choice((0, end - start)) :]


BYTES: tuple[Change, ...] = (
    _flipped,
    _overwritten,
    _numbered,
    _cut,
    _shortened,
    _doubled,
    _lengthened,
)
