"""Tables as text."""

from collections.abc import Sequence


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns, each as wide as its widest cell.

    Args:
        rows: Of equal length, the heads among them.

    Returns:
        A line a row, without a line end at the end.

    Examples:
        >>> print(text_table([("shift", "films"), ("gamma 0.7", "523")]))
        shift      films
        gamma 0.7  523
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
