"""What the static check has to say: one problem, with file and place."""

from collections.abc import Sequence
from dataclasses import dataclass

COMMAND_LINE = "--set"
"""The file of problems with values that were given on the command line."""

_MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a bundle.

    Attributes:
        file: File inside the bundle, or `--set` for a value of the command line.
        place: Id of the key (`train::trainer::max_epochs`), or an empty string for the whole file.
        message: The rule that is broken and the nearest right name, in one line.
        line: Line in the file, from 1; None where there is none.
    """

    file: str
    place: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        """Write it as compilers do: file, line, place, message."""
        line = f":{self.line}" if self.line else ""
        place = f" {self.place}:" if self.place else ""
        return f"{self.file}{line}:{place} {self.message}"

    def within(self, bundle_name: str) -> str:
        """Write it with the bundle's name in front of the file."""
        return str(self) if self.file == COMMAND_LINE else f"{bundle_name}/{self}"


def first_problems(lines: Sequence[str], *, of: str | None = None) -> str:
    """Return what an error says of problems: the first ones, and how many more there are.

    Args:
        lines: A line a problem.
        of: What `plainfilm check` is given to see all of them; None where it takes none of it.
    """
    shown = list(lines[:_MOST_SHOWN])
    if len(lines) > len(shown):
        rest = f"and {len(lines) - len(shown)} more"
        shown.append(rest if of is None else f"{rest}: plainfilm check {of}")
    return "\n".join(shown)
