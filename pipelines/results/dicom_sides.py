"""Whether an image has a side: known, unknown, or none at all (PS3.3 C.7.3.1)."""

from pydicom.dataset import Dataset

_UNPAIRED = frozenset(
    {
        "ABDOMEN",
        "ABDOMENPELVIS",
        "AORTA",
        "BACK",
        "BLADDER",
        "BRAIN",
        "CHEST",
        "CHESTABDOMEN",
        "CHESTABDPELVIS",
        "COCCYX",
        "COLON",
        "CSPINE",
        "CTSPINE",
        "DUODENUM",
        "ESOPHAGUS",
        "FACE",
        "GALLBLADDER",
        "HEAD",
        "HEADNECK",
        "HEART",
        "ILEUM",
        "JAW",
        "JEJUNUM",
        "LARYNX",
        "LIVER",
        "LSPINE",
        "LSSPINE",
        "MAXILLA",
        "MEDIASTINUM",
        "MOUTH",
        "NECK",
        "NECKCHEST",
        "NECKCHESTABDOMEN",
        "NOSE",
        "PANCREAS",
        "PELVIS",
        "PHARYNX",
        "RECTUM",
        "SCALP",
        "SKULL",
        "SPINE",
        "SPLEEN",
        "SSPINE",
        "STERNUM",
        "STOMACH",
        "THYMUS",
        "THYROID",
        "TLSPINE",
        "TONGUE",
        "TRACHEA",
        "TSPINE",
        "WHOLEBODY",
    }
)
"""Body parts of which there is one (PS3.16 annex L): an image of another one has a side, known or
not (PS3.3 C.7.3.1)."""


def admit_side(dataset: Dataset) -> None:
    """Say that the side of an image is unknown, where its body part has one (PS3.3 C.7.3.1)."""
    has_side = "Laterality" in dataset or "ImageLaterality" in dataset
    if not has_side and dataset.get("BodyPartExamined") not in _UNPAIRED:
        dataset.Laterality = ""
