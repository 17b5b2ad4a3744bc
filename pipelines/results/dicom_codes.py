"""Coded concepts of results: SNOMED CT and DICOM where they have one, a private scheme elsewhere.

A wrong code is worse than a private one: only codes stand here that are known to mean just this.
"""

import hashlib
import re
from collections.abc import Mapping
from copy import deepcopy

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

PRIVATE_SCHEME = "99PLAINFILM"
"""Designator of the private scheme; `99` marks one that is not registered (PS3.16 8.2)."""

_MOST_MEANING = 64
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,16}")


def sct(value: str, meaning: str) -> CodedConcept:
    """Return a concept of SNOMED CT."""
    return CodedConcept(value, "SCT", meaning)


def dcm(value: str, meaning: str) -> CodedConcept:
    """Return a concept of DICOM itself (PS3.16 annex D)."""
    return CodedConcept(value, "DCM", meaning)


def unit(value: str, meaning: str) -> CodedConcept:
    """Return a unit of UCUM."""
    return CodedConcept(value, "UCUM", meaning)


def private(value: str, meaning: str) -> CodedConcept:
    """Return a concept of the private scheme.

    Args:
        value: 16 characters at most.
        meaning: 64 characters at most.
    """
    return CodedConcept(value, PRIVATE_SCHEME, meaning)


def private_scheme() -> CodingSchemeIdentificationItem:
    """Declare the private scheme, as every object that uses it must."""
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="plainfilm results",
        responsible_organization="the plainfilm authors",
    )


YES, NO = sct("373066001", "Yes"), sct("373067005", "No")
IMAGING = sct("363679005", "Imaging procedure")
"""Of CID 100, which holds the procedures that a TID 1500 report may be about."""

SIDES = {"L": sct("7771000", "Left"), "R": sct("24028007", "Right")}
ANATOMY = sct("91723000", "Anatomical Structure")
BONE = sct("272673000", "Bone")
HAND_BONE = sct("24097009", "Hand bone")
AREA, LENGTH = sct("42798000", "Area"), sct("410668003", "Length")
SQUARE_MM, MM = unit("mm2", "square millimeter"), unit("mm", "millimeter")
PIXELS, ONE = unit("{pixels}", "pixels"), unit("1", "no units")
PROBABILITY = dcm("122157", "Probability")
SOURCE_IMAGE = dcm("121322", "Source image for image processing operation")

CALLED_CLASS = private("called-class", "Called class")
CALLED = private("called", "Called by the algorithm")
ANOMALOUS = private("anomalous", "Anomalous by the algorithm")
FOREIGN = private("foreign", "Unlike the training films (out of distribution)")
FOREIGN_SCORE = private("foreign-score", "Unlikeness to the training films")
FOREIGN_LIMIT = private("foreign-limit", "Limit on the unlikeness to the training films")
THRESHOLD = private("threshold", "Operating point: threshold of the decision")
POSITIVE_PROBABILITY = private("prob-positive", "Probability of the positive classes together")
ANOMALY_SCORE = private("anomaly-score", "Anomaly score")
FOUND = private("found", "Found by the algorithm")
NOT_FOUND = private("not-found", "Not found by the algorithm")
EVALUATIONS = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
FOUND_COUNT = private("found-count", "Number of structures found")
PARTS = private("parts", "Number of connected parts")
AT_DETECTOR = private("at-detector", "Measured at the detector, magnification not corrected")
WHOLE_FILM = private("whole-film", "Answer for the whole film")

_FINGERS = ("thumb", "index finger", "middle finger", "ring finger", "little finger")
_ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth")


def _hand_bones() -> dict[str, CodedConcept]:
    """The 29 bones, by the class names of `pipelines.labels.HAND_BONES`."""
    known = {
        "Metacarpal-1": sct("4247003", "First metacarpal bone"),
        "Middle-2": sct("7083009", "Middle phalanx of index finger"),
    }
    bones: dict[str, CodedConcept] = {}
    for finger, (name, ordinal) in enumerate(zip(_FINGERS, _ORDINALS, strict=True), start=1):
        for part in ("Distal", "Middle", "Proximal", "Metacarpal"):
            if part == "Middle" and finger == 1:
                continue
            metacarpal = part == "Metacarpal"
            meaning = f"{ordinal} metacarpal bone" if metacarpal else f"{part} phalanx of {name}"
            code = known.get(f"{part}-{finger}") or private(f"{part}-{finger}", meaning)
            bones[f"finger-{len(bones) + 1}"] = code
    for carpal in (
        "Trapezium",
        "Trapezoid",
        "Capitate",
        "Hamate",
        "Lunate",
        "Triquetrum",
        "Pisiform",
    ):
        bones[carpal] = private(carpal, f"{carpal} bone")
    return bones | {
        "Scaphoid": sct("30518006", "Scaphoid"),
        "Radius": sct("62413002", "Radius"),
        "Ulna": sct("23416004", "Ulna"),
    }


HAND_BONE_CODES: Mapping[str, CodedConcept] = _hand_bones()

_LUNG = sct("39607008", "Lung")
_STRUCTURES: Mapping[str, CodedConcept] = {
    **{name.casefold(): code for name, code in HAND_BONE_CODES.items()},
    "lung": _LUNG,
    "lungs": _LUNG,
    "right lung": sct("3341006", "Right lung"),
    "left lung": sct("44029006", "Left lung"),
}
_FINDINGS: Mapping[str, CodedConcept] = {
    "normal": sct("17621005", "Normal"),
    "pneumonia": sct("233604007", "Pneumonia"),
    "fracture": sct("125605004", "Fracture of bone"),
    "fractured": sct("125605004", "Fracture of bone"),
    "bcc": sct("254701007", "Basal cell carcinoma of skin"),
    "mel": sct("372244006", "Malignant melanoma"),
    "melanoma": sct("372244006", "Malignant melanoma"),
    "nv": sct("400096001", "Melanocytic nevus"),
    "akiec": private("akiec", "Actinic keratosis or intraepithelial carcinoma"),
    "bkl": private("bkl", "Benign keratosis-like lesion"),
    "df": private("df", "Dermatofibroma"),
    "vasc": private("vasc", "Vascular lesion of skin"),
}


def structure_code(name: str) -> CodedConcept:
    """Return the concept of a structure that a segmentation outlines.

    Args:
        name: Class name.

    Returns:
        The known one; else a private one that is made of the name.
    """
    # A copy: a side that one object adds to it is not for the next film.
    return deepcopy(_STRUCTURES.get(name.casefold())) or _made_of(name)


def structure_region(name: str) -> CodedConcept | None:
    """Return where a structure with a private code lies, by a code that everybody knows.

    Args:
        name: Class name.

    Returns:
        The bones of the hand for one of them; None where its own code says enough.
    """
    own = _STRUCTURES.get(name.casefold())
    is_private = own is not None and own.CodingSchemeDesignator == PRIVATE_SCHEME
    return HAND_BONE if is_private else None


def finding_code(name: str) -> CodedConcept:
    """Return the concept of what a class of a classifier means.

    Args:
        name: Class name.

    Returns:
        The known one; else a private one that is made of the name.
    """
    return deepcopy(_FINDINGS.get(name.casefold())) or _made_of(name)


def label(name: str, most: int = _MOST_MEANING) -> str:
    """Return a class name as a short text of DICOM: printable, no backslash, not too long."""
    printable = "".join(c if c.isprintable() and c != "\\" else " " for c in name).strip()
    return printable[:most] or "unnamed"


def _made_of(name: str) -> CodedConcept:
    if _PLAIN.fullmatch(name):
        return private(name, label(name))
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return private(f"class-{digest[:10]}", label(name))
