"""Copies: files with the same bytes."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipelines.files import sha256


def find_copies(paths: Sequence[Path]) -> tuple[tuple[int, ...], ...]:
    """Find files with the same bytes. Only files of one size are read.

    Args:
        paths: The files.

    Returns:
        For each content that occurs more than once, the indices of its files, ascending.
    """
    by_size: dict[int, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        by_size[path.stat().st_size].append(index)
    by_content: dict[str, list[int]] = defaultdict(list)
    for indices in by_size.values():
        if len(indices) > 1:
            for index in indices:
                by_content[sha256(paths[index])].append(index)
    return tuple(sorted(tuple(each) for each in by_content.values() if len(each) > 1))
