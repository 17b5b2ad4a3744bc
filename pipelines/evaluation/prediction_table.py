"""The columns and rows of every `predictions.csv`."""

from collections.abc import Sequence
from unicodedata import category

from pipelines.predictions import Classification

_FORMULA_STARTS = ("=", "+", "-", "@")


def prediction_columns(classes: Sequence[str]) -> list[str]:
    """Return the columns of a table of predictions.

    Args:
        classes: Class names in order.

    Returns:
        `filename,predicted_class,predicted_label,confidence,prob_<class>…`.
    """
    return [
        "filename",
        "predicted_class",
        "predicted_label",
        "confidence",
        *(f"prob_{name}" for name in classes),
    ]


def prediction_row(classification: Classification) -> dict[str, object]:
    """Return the row of one film, with the keys of `prediction_columns`."""
    return {
        "filename": table_filename(classification.filename),
        "predicted_class": classification.predicted_class,
        "predicted_label": classification.predicted_label,
        "confidence": table_number(classification.confidence),
    } | {
        f"prob_{name}": table_number(value) for name, value in classification.probabilities.items()
    }


def table_filename(filename: str) -> str:
    """Write a file name so that a spreadsheet takes it for text and a path lookup still finds it.

    Spreadsheets run a cell that begins with `=`, `+`, `-` or `@` as a formula, and file names
    come from elsewhere; `./` before the name means the same file.

    Args:
        filename: Path relative to the input folder.

    Returns:
        The name as a table holds it.
    """
    name = table_text(filename)
    return f"./{name}" if name.startswith(_FORMULA_STARTS) else name


def table_text(text: str) -> str:
    r"""Write control characters as `\n` or `\x1b`: a cell never breaks a row or a terminal."""
    return "".join(
        character.encode("unicode_escape").decode() if category(character) == "Cc" else character
        for character in encodable(text)
    )


def encodable(text: str) -> str:
    r"""Write bytes of a file name that are no UTF-8 as `\udcxx`, so that any file can hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def table_number(value: float) -> float:
    """Round to nine significant digits: more than float32 carries, and readable."""
    return float(f"{value:.9g}")
