"""What is known of films beside their class, such as sex, age and view, and may be told of them.

Figures of parts of a data set need such columns; nobody is told by them. Names, identifiers and
dates are no traits, ages become bands, and institutions pseudonyms.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.datasets.pseudonyms import pseudonym
from pipelines.errors import ConfigurationError, Reason
from pipelines.nearest import right_names

if TYPE_CHECKING:
    from pipelines.ingest.dicom_attributes import Attributes

NOT_STATED = "not stated"
"""The value of films whose cell is empty."""

MOST_VALUES = 12
"""A column with more values is shown only when it is named."""

_MOST_NAMED_VALUES = 50
_OWN_KEYS = frozenset({"image", "label", "group", "split", "fold"})
_AGES = frozenset({"age", "patient_age", "patientage", "age_years"})
_INSTITUTIONS = frozenset(
    {"institution", "institution_name", "institutionname", "hospital", "clinic"}
)
_IDENTIFYING = frozenset(
    {"id", "ids", "uid", "mrn", "name", "names", "date", "time", "birth", "birthday", "dob"}
    | {"accession", "number", "phone", "address", "zip", "physician", "reader", "operator"}
    | {"email", "mail", "ssn", "nhs", "pid", "postcode", "zipcode", "passport", "initials"}
    | {"comment", "comments", "note", "notes", "report", "file", "path", "filename", "image"}
)
_RUN_TOGETHER = re.compile(
    r"(patient|study|series|lesion|subject|case|person|birth|accession|acquisition)"
    r"(id|uid|name|date|number)"
    r"|(patient|pat|study|case|person|hospital|insurance|first|last|sur|fore|given|family|middle)"
    r"(id|name|no|nr)$"
    r"|dateofbirth"
)
_BANDS = {2: "0-1", 12: "2-11", 18: "12-17", 40: "18-39", 60: "40-59", 80: "60-79", 200: "80+"}
_AGE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*([DWMY]?)")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_PRINTED = 64


def traits_of_header(attributes: "Attributes") -> dict[str, str]:
    """Return what a DICOM header tells of a film that tells nothing of who it is.

    Args:
        attributes: Of the header.

    Returns:
        `sex`, `age` (a band), `view`, `manufacturer` and `site` (a pseudonym), each where it is
        stated.
    """
    institution = attributes.text("InstitutionName")
    found = {
        "sex": attributes.text("PatientSex").upper(),
        "age": age_band(attributes.text("PatientAge")) or "",
        "view": attributes.text("ViewPosition").upper(),
        "manufacturer": attributes.text("Manufacturer"),
        "site": _site(institution) if institution else "",
    }
    return {
        name: value[:_PRINTED] for name, value in found.items() if value.isprintable() and value
    }


def age_band(age: object) -> str | None:
    """Return the band that an age lies in.

    Args:
        age: Years as a number or its text, a DICOM age such as `045Y` or `006M`, or a band.

    Returns:
        `0-1`, `2-11`, `12-17`, `18-39`, `40-59`, `60-79` or `80+`; None where it is no age.

    Examples:
        >>> age_band("006M"), age_band(45.0), age_band("80+"), age_band("old")
        ('0-1', '40-59', '80+', None)
    """
    text = str(age).strip().upper()
    if text in _BANDS.values():
        return text
    matched = _AGE.fullmatch(text)
    if matched is None:
        return None
    years = float(matched[1]) * _YEARS[matched[2]]
    return next((band for end, band in _BANDS.items() if years < end), None)


def columns_of(
    items: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None
) -> dict[str, list[str]]:
    """Return the columns that figures of subgroups are told by.

    Args:
        items: Of a data set, with whatever columns it has.
        names: Columns to take; None takes those that identify nobody and have 2 to 12 values.

    Returns:
        The value of every item, by column, in alphabetical order of columns.

    Raises:
        ConfigurationError: If a named column is not there, identifies people, or has more than 50
            values.
    """
    known = sorted({key for item in items for key in item} - _OWN_KEYS)
    told = [name for name in known if not is_identifying(name)]
    for name in names or ():
        if name not in told:
            raise ConfigurationError(
                Reason.UNKNOWN_NAME,
                f"expected columns of the data that identify nobody in outcome::subgroups, got "
                f"{name!r}{right_names(name, told)}",
            )
    columns = {
        name: [_value(name, item.get(name)) for item in items]
        for name in (told if names is None else dict.fromkeys(names))
    }
    if names is None:
        return {name: values for name, values in columns.items() if _tells_groups(values)}
    for name, values in columns.items():
        if len(set(values)) > _MOST_NAMED_VALUES:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected at most {_MOST_NAMED_VALUES} values in the column {name!r} of "
                f"outcome::subgroups, got {len(set(values))}; name another, or put values together",
            )
    return columns


def _tells_groups(values: Sequence[str]) -> bool:
    stated = set(values) - {NOT_STATED}
    return 2 <= len(stated) <= MOST_VALUES  # noqa: PLR2004 - one value makes no groups


def _value(name: str, cell: object) -> str:
    text = "" if cell is None else str(cell).strip()
    if text.casefold() in {"", "nan", "none", "null"}:
        return NOT_STATED
    if name in _AGES:
        return age_band(text) or NOT_STATED
    return _site(text) if name in _INSTITUTIONS else text


def _site(institution: str) -> str:
    return pseudonym(institution).replace("patient-", "site-")


def is_identifying(name: str) -> bool:
    """Say whether a column of this name may tell who a film is of: a name, an identifier, a date.

    Examples:
        >>> is_identifying("Patient ID"), is_identifying("StudyDate"), is_identifying("view")
        (True, True, False)
    """
    words = re.split(r"[^a-z]+", name.casefold())
    return bool(_IDENTIFYING.intersection(words)) or bool(_RUN_TOGETHER.search("".join(words)))
