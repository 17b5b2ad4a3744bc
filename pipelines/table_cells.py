"""How file names, other names, texts and numbers stand in the cells of a table."""

from unicodedata import category

_FORMULA_STARTS = ("=", "+", "-", "@")


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


def table_name(name: str) -> str:
    """Write a name that is no path, of a class or a run, so that it is no formula.

    Args:
        name: Of a class, a subgroup, a column or a run.

    Returns:
        The name as a table holds it: with `'` before it where a spreadsheet would run it, which
        takes the rest for text; numbers stay as they are.

    Examples:
        >>> table_name("=1+1"), table_name("-5"), table_name("80+")
        ("'=1+1", '-5', '80+')
    """
    cell = table_text(name)
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) and not _is_number(cell) else cell


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


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
