"""Text of a DICOM header in whatever character set it declares (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

from typing import NoReturn

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

from pipelines.errors import InputError, Reason

_LOST = "\N{REPLACEMENT CHARACTER}"
_ESCAPE = b"\x1b"
_DELIMITERS = {ord("^"), ord("="), ord("\\"), ord("\r"), ord("\n"), ord("\t"), ord("\f")}
"""Characters behind which the first character set holds again (PS3.5 6.1.2.5.3)."""


class TextDecoder:
    """Decodes the text of one header, and guesses nothing.

    pydicom replaces what it cannot decode and goes on with a warning. A name that reads otherwise
    than its source belongs to another patient, so here such a header is refused.

    Args:
        declared: SpecificCharacterSet as the file has it; empty for the default repertoire.

    Raises:
        InputError: INVALID_ATTRIBUTE if a character set does not exist, or does not go with others.
    """

    def __init__(self, declared: bytes) -> None:
        terms = [term.strip(" \0") for term in declared.decode("latin-1").split("\\")]
        extended = len(terms) > 1
        for place, term in enumerate(terms):
            known = term in python_encoding
            fits = term.startswith("ISO 2022") or (place == 0 and not term) or not extended
            if not known or not fits:
                _refuse("SpecificCharacterSet with terms that DICOM defines", "others")
        self._is_default = terms in ([""], ["ISO_IR 6"])
        self._encodings = convert_encodings(terms)

    def decode(self, value: bytes) -> str:
        """Decode one value, without the padding at its end.

        Args:
            value: As the file has it.

        Returns:
            The text.

        Raises:
            InputError: INVALID_ATTRIBUTE if the value has other bytes than its character set.
        """
        if self._is_default and not value.isascii():
            _refuse("SpecificCharacterSet, since text has more than ASCII", "none")
        try:
            if _ESCAPE in value:
                text = decode_bytes(value, self._encodings, _DELIMITERS)
            else:
                text = value.decode(self._encodings[0])
        except (UnicodeError, LookupError, Warning):
            text = _LOST
        if _LOST in text:
            _refuse("text in the character set that the header declares", "other bytes")
        return text.rstrip(" \0")


def _refuse(rule: str, got: str) -> NoReturn:
    raise InputError(
        Reason.INVALID_ATTRIBUTE,
        f"expected {rule}, got {got}; correct SpecificCharacterSet in the source, since a result "
        "may not name its patient in another way",
    ) from None
