"""Facts that live once: class names and their order."""

PNEUMONIA_CLASSES: tuple[str, str] = ("NORMAL", "PNEUMONIA")
"""Folder names of Kermany et al. (2018); index 1 is the positive class."""

HAND_BONES: tuple[str, ...] = (
    *(f"finger-{number}" for number in range(1, 20)),
    "Trapezium",
    "Trapezoid",
    "Capitate",
    "Hamate",
    "Scaphoid",
    "Lunate",
    "Triquetrum",
    "Pisiform",
    "Radius",
    "Ulna",
)
"""The 29 bones of a hand radiograph; the index is the channel of a mask.

The fingers are counted from the thumb to the little finger and within a finger from the tip to the
wrist, on both hands: thumb finger-1 (distal phalanx), -2 (proximal phalanx), -3 (metacarpal);
index finger-4 (distal), -5 (middle), -6 (proximal), -7 (metacarpal); middle finger-8 to -11; ring
finger-12 to -15; little finger-16 to -19.
"""
