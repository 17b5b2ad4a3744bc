"""Changes of what a DICOM file is made of: values, representations, lengths, items, codestreams."""

import re
import struct
from random import Random

from mutations.changes import NUMBERS, Change, number, packed, place

_REPRESENTATIONS = (
    b"AE AS CS DA DS FD FL IS LO OB OW OF PN SH SL SQ SS ST UI UL UN US UT ZZ".split()
)
_WHOLE = {
    "00280002": (0, 1, 2, 3, 4, 65535),  # SamplesPerPixel
    "00280006": (0, 1, 2, 65535),  # PlanarConfiguration
    "00280010": (0, 1, 2, 37, 7000, 7071, 7072, 32767, 65535),  # Rows
    "00280011": (0, 1, 2, 53, 7000, 7071, 7072, 32767, 65535),  # Columns
    "00280100": (0, 1, 8, 12, 16, 32, 64, 65535),  # BitsAllocated
    "00280101": (0, 1, 7, 8, 9, 15, 16, 17, 65535),  # BitsStored
    "00280102": (0, 7, 11, 15, 16, 65535),  # HighBit
    "00280103": (0, 1, 2, 65535),  # PixelRepresentation
    "00283002": NUMBERS,  # LUTDescriptor, its first number
    "00281101": NUMBERS,  # RedPaletteColorLookupTableDescriptor, its first number
}
_TEXTS = {
    "00020010": (  # TransferSyntaxUID
        *(f"1.2.840.10008.1.2{each}" for each in ("", ".1", ".1.99", ".2", ".5", ".1.98")),
        *(f"1.2.840.10008.1.2.4.{each}" for each in (50, 51, 57, 70, 80, 81, 90, 91, 92, 100)),
        *(f"1.2.840.10008.1.2.4.{each}" for each in (110, 201, 202, 203)),
    ),
    "00080016": (  # SOPClassUID
        *(f"1.2.840.10008.5.1.4.1.1.{each}" for each in ("1", "1.1", "1.1.1", "1.2", "2", "7")),
        *(f"1.2.840.10008.5.1.4.1.1.7.{each}" for each in (1, 2, 3, 4)),
    ),
    "00280004": (  # PhotometricInterpretation
        *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422"),
        *("YBR_ICT", "YBR_RCT", "YBR_PARTIAL_422", "ARGB", "", "\0"),
    ),
    "00280008": ("0", "1", "2", "3", "-1", "9999", "10001", "1e300", "nan", "2.5", ""),  # frames
    "00280030": ("0\\0", "1\\1", "1e-300\\1e300", "nan\\nan", "-1\\1", "0.1", ""),  # PixelSpacing
    "00281050": ("0", "1e300", "-1e12", "nan", "inf", "2000\\1000", "", "x"),  # WindowCenter
    "00281051": ("0", "1", "0.5", "-3", "1e-300", "1e300", "nan", "", "x"),  # WindowWidth
    "00281052": ("0", "-1024", "1e12", "-1e300", "nan", "x"),  # RescaleIntercept
    "00281053": ("0", "1", "-1", "1e-300", "1e12", "nan", "x"),  # RescaleSlope
    "00281056": ("LINEAR", "LINEAR_EXACT", "SIGMOID", "x", ""),  # VOILUTFunction
    "20500020": ("IDENTITY", "INVERSE", "x"),  # PresentationLUTShape
}
_ELEMENT = re.compile(rb"[\x02\x08\x10\x18\x20\x28\x50]\0[\0-\xff]{2}[A-Z]{2}")
_ITEM = re.compile(rb"\xfe\xff[\x00\x0d\xdd]\xe0")
_FRAME = re.compile(rb"\xff[\xc0-\xc3\xf7]\0[\x0b\x11]")
_MARKER = re.compile(rb"\xff[\x4f-\x64\x90-\x93\xc0-\xfe]")


def _valued(content: bytes, random: Random) -> bytes:
    """Give an element another value, and the length of that."""
    if random.random() < 0.5:
        tag = random.choice([*_WHOLE])
        value = struct.pack("<H", random.choice(_WHOLE[tag]))
    else:
        tag = random.choice([*_TEXTS])
        value = random.choice(_TEXTS[tag]).encode()
        value += b" " * (len(value) % 2)
    group, element = int(tag[:4], 16), int(tag[4:], 16)
    order = "<"
    at = content.find(struct.pack("<HH", group, element))
    if at < 0:
        order, value = ">", value if tag in _TEXTS else value[::-1]
        at = content.find(struct.pack(">HH", group, element))
    if at < 0:
        return content
    explicit = content[at + 4 : at + 6].isalpha()
    size, before = (2, at + 6) if explicit else (4, at + 4)
    old = int.from_bytes(content[before : before + size], "little" if order == "<" else "big")
    rest = content[at + 8 + min(old, 1000) :]
    if tag in _WHOLE:  # the other numbers of a descriptor stay
        value += content[at + 8 : at + 8 + min(old, 1000)][2:]
    return content[:before] + packed(len(value), size, order) + value + rest


def _agreeing(content: bytes, random: Random) -> bytes:
    """Give rows and columns another number, in the header and in the codestream alike."""
    size = random.choice((1, 2, 255, 3000, 5000, 7000, 7071, 65535))
    other = random.choice((size, size, 1, 700, 50_000_000 // size))
    for tag, side in ((b"\x28\0\x10\0", size), (b"\x28\0\x11\0", min(other, 65535))):
        at = content.find(tag)
        if at >= 0:
            content = content[: at + 8] + packed(side, 2, "<") + content[at + 10 :]
    frame = _FRAME.search(content)
    if frame:
        sides = packed(size, 2, ">") + packed(other, 2, ">")
        content = content[: frame.start() + 5] + sides + content[frame.start() + 9 :]
    at = content.find(b"\xff\x51")
    if at >= 0:
        sides = packed(other, 4, ">") + packed(size, 4, ">")
        content = content[: at + 6] + sides + content[at + 14 :]
        if random.random() < 0.5:  # one tile, not many
            content = content[: at + 22] + sides + content[at + 30 :]
    return content


def _element_changed(content: bytes, random: Random) -> bytes:
    """Give an element another representation, length or tag; or leave it out, or double it."""
    places = [match.start() for match in _ELEMENT.finditer(content, 0, 6000)]
    if not places:
        return content
    at = random.choice(places)
    after = next((place for place in places if place > at), at + 8)
    what = random.randrange(5)
    if what == 0:
        return content[: at + 4] + random.choice(_REPRESENTATIONS) + content[at + 6 :]
    if what == 1:
        return content[: at + 6] + packed(number(random), 2, "<") + content[at + 8 :]
    if what == 2:
        return content[:at] + random.randbytes(4) + content[at + 4 :]
    if what == 3:
        return content[:at] + content[after:]
    return content[:after] + content[at:after] * random.choice((1, 3, 100)) + content[after:]


def _item_changed(content: bytes, random: Random) -> bytes:
    """Give an item, a fragment or a delimiter another length, or put one where none was."""
    places = [match.start() for match in _ITEM.finditer(content)]
    length = packed(number(random), 4, "<")
    if places and random.random() < 0.7:
        at = random.choice(places)
        return content[: at + 4] + length + content[at + 8 :]
    at = place(content, random)
    return content[:at] + b"\xfe\xff\x00\xe0" + length + content[at:]


def marker_changed(content: bytes, random: Random) -> bytes:
    """Change what stands behind a marker of a codestream: JPEG, JPEG-LS, JPEG 2000, HTJ2K."""
    start = content.find(b"\xe0\x7f\x10\0") if content[128:132] == b"DICM" else 0
    places = [match.start() for match in _MARKER.finditer(content, max(start, 0))][:40]
    if not places:
        return content
    at = random.choice(places) + random.choice((1, 2, 3, 4, 5, 7, 9, *range(6, 50)))
    size = random.choice((1, 1, 2, 2, 4))
    return content[:at] + packed(number(random), size, ">") + content[at + size :]


DICOM_CHANGES: tuple[Change, ...] = (
    *(_valued, _valued, _valued),
    *(_element_changed, _item_changed, marker_changed, _agreeing),
)
