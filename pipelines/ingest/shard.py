"""A share of an input: which inputs are whose when several machines work on one set."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason

_SPELLED = re.compile(r"(\d{1,7})/(\d{1,7})")
_FOLDER = re.compile(r"shard-(\d{5,7})-of-(\d{5,7})")


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of `count` shares of an input.

    An input belongs to the share that the SHA-256 of its name says, whatever else there is: new
    inputs do not move those that were there.

    Attributes:
        count: How many shares there are, at least 1.
        index: Which one this is, from 0 to `count` - 1, as array jobs count.
    """

    count: int
    index: int

    @classmethod
    def parse(cls, spelled: str) -> "Shard":
        """Read `INDEX/COUNT`.

        Args:
            spelled: Such as `3/16`, the fourth of sixteen.

        Returns:
            The share.

        Raises:
            ConfigurationError: If it is anything else, or there is no such share.

        Examples:
            >>> Shard.parse("3/16").folder
            'shard-00003-of-00016'
        """
        numbers = _SPELLED.fullmatch(spelled)
        index, count = map(int, numbers.groups()) if numbers else (0, 0)
        if not 0 <= index < count:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected --shard INDEX/COUNT with an index from 0 to COUNT - 1, got {spelled!r}; "
                "of four shards the first is 0/4 and the last 3/4",
            )
        return cls(count, index)

    @property
    def folder(self) -> str:
        """Name of its folder in the output."""
        return f"shard-{self.index:05d}-of-{self.count:05d}"

    def __str__(self) -> str:
        """Return `INDEX/COUNT`."""
        return f"{self.index}/{self.count}"

    def holds(self, filename: str) -> bool:
        """Whether an input belongs to this share.

        Args:
            filename: Path relative to the input; frames of one file stay together.
        """
        digest = hashlib.sha256(filename.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index


def shard_of(folder: Path) -> Shard | None:
    """Return the share that a folder is named after; None where it is not."""
    numbers = _FOLDER.fullmatch(folder.name)
    return Shard(int(numbers[2]), int(numbers[1])) if numbers else None
