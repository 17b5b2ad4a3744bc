"""DICOM as it comes: every kind of header, transfer syntax, damage and hostility that is known."""

from corpus import Case, dicom_broken_cases, dicom_grey_cases, dicom_syntax_cases


def cases() -> list[Case]:
    return [*dicom_grey_cases.cases(), *dicom_syntax_cases.cases(), *dicom_broken_cases.cases()]
