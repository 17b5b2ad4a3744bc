"""Grey scale, colour, spacing and flags: what the header says about pixels that decode well."""

from collections.abc import Iterator

import cv2
import numpy as np
from pydicom.dataset import Dataset

from corpus import Case
from corpus.dicom_films import (
    COLOUR8,
    COLUMNS,
    CR,
    GREY8,
    GREY12,
    ROWS,
    SECONDARY_CAPTURE,
    Raw,
    between,
    case,
    linear,
    looks,
    rgb,
    table,
    written,
)
from pipelines.errors import Reason

PLAIN = linear(GREY12, 2000, 3000)
NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}
SIGNED = (GREY12.astype(np.int16) - 1500).astype(np.int16)


def cases() -> list[Case]:
    return [*_polarity(), *_bits(), *_windows(), *_modality(), *_colour(), *_spacing(), *_kinds()]


def _polarity() -> Iterator[Case]:
    yield case("monochrome2", written(), looks(PLAIN, flags=set(), inverted=False))
    one = {"PhotometricInterpretation": "MONOCHROME1"}
    inverse = {"PresentationLUTShape": "INVERSE"}
    turned = looks(1 - PLAIN, flags=set(), inverted=True, voi="window")
    yield case("monochrome1", written(**one), turned)
    yield case("monochrome1_inverse", written(**one, **inverse), turned)
    identity = {"PresentationLUTShape": "IDENTITY"}
    contradictory = looks(1 - PLAIN, flags={"polarity_contradictory"}, inverted=True)
    yield case("monochrome1_identity", written(**one, **identity), contradictory)
    yield case("monochrome2_inverse", written(**inverse), turned)
    yield case("monochrome2_identity", written(**identity), looks(PLAIN, inverted=False))
    guessed = looks(1 - between(GREY12), flags={"voi_guessed"}, voi="percentile", inverted=True)
    yield case("monochrome1_no_window", written(**one, **NO_WINDOW), guessed)
    entries = np.arange(0, 4096, dtype=np.uint16)[::-1] // 2
    with_table = {"VOILUTSequence": table("VOILUTSequence", 0, entries, 12)}
    looked_up = looks(1 - (entries[GREY12] / 4095).astype(np.float32)[None], voi="lut")
    yield case("monochrome1_voi_lut", written(**one, **with_table), looked_up)


def _bits() -> Iterator[Case]:
    window = {"WindowCenter": 500, "WindowWidth": 3000}
    expected = looks(linear(SIGNED, 500, 3000), flags=set(), bits=16)
    yield case("signed_16", written(SIGNED, BitsStored=16, HighBit=15, **window), expected)
    twelve = np.clip(SIGNED, -2048, 2047)
    expected = looks(linear(twelve, 500, 3000), flags=set(), bits=12)
    yield case("signed_12_extended", written(twelve, **window), expected)
    bare = (twelve & 0x0FFF).astype(np.int16)
    yield case("signed_12_not_extended", written(bare, **window), expected)
    junk = GREY12 | np.uint16(0xA000)
    yield case("junk_above_stored_bits", written(junk), looks(PLAIN, flags=set()))
    overlay = GREY12 | (np.eye(ROWS, COLUMNS, dtype=np.uint16) << 12)
    size = {"60000010": ("US", ROWS), "60000011": ("US", COLUMNS)}
    in_pixels = written(overlay, **size, **{"60000102": ("US", 12)})
    yield case("overlay_in_high_bits", in_pixels, looks(PLAIN, flags=set()))
    apart = written(**size, **{"60003000": ("OW", bytes(ROWS * COLUMNS // 8 + 2))})
    yield case("overlay_apart", apart, looks(PLAIN, flags=set()))
    shifted = (GREY12 << np.uint16(4)) | np.uint16(5)
    yield case("high_bit_15_of_12", written(shifted, HighBit=15), looks(PLAIN))
    yield case(
        "eight_bit",
        written(GREY8, WindowCenter=128, WindowWidth=256),
        looks(linear(GREY8, 128, 256), bits=8),
    )
    yield case("bits_stored_beyond", written(BitsStored=17), Reason.INVALID_ATTRIBUTE)
    yield case("bits_stored_0", written(BitsStored=0), Reason.INVALID_ATTRIBUTE)
    yield case("bits_allocated_32", written(BitsAllocated=32), Reason.UNSUPPORTED_FORMAT)
    yield case("bits_allocated_12", written(BitsAllocated=12), Reason.UNSUPPORTED_FORMAT)
    flat = np.full_like(GREY12, 700)
    same = looks(np.full((1, ROWS, COLUMNS), 0.5, np.float32), flags={"flat", "voi_guessed"})
    yield case("flat_no_window", written(flat, **NO_WINDOW), same)


def _windows() -> Iterator[Case]:
    x = GREY12.astype(np.float64)
    exact = np.clip((x - 2000) / 3000 + 0.5, 0, 1).astype(np.float32)[None]
    sigmoid = (1 / (1 + np.exp(-4 * (x - 2000) / 3000))).astype(np.float32)[None]
    yield case(
        "window_exact",
        written(VOILUTFunction="LINEAR_EXACT"),
        looks(exact, voi="window", voi_function="LINEAR_EXACT"),
    )
    yield case(
        "window_sigmoid",
        written(VOILUTFunction="SIGMOID"),
        looks(sigmoid, voi="window", voi_function="SIGMOID"),
    )
    two = {"WindowCenter": [2000, 100], "WindowWidth": [3000, 50]}
    yield case("window_several", written(**two), looks(PLAIN, voi_function="LINEAR", flags=set()))
    yield case("window_width_1", written(WindowWidth=1), looks(linear(GREY12, 2000, 1)))
    unknown = looks(PLAIN, flags={"voi_function_unknown"})
    yield case("window_function_unknown", written(VOILUTFunction="CUBIC"), unknown)
    guessed = looks(between(GREY12), voi="percentile", voi_function=None, flags={"voi_guessed"})
    yield case("window_missing", written(**NO_WINDOW), guessed)
    yield case("window_empty", written(WindowCenter="", WindowWidth=""), guessed)
    bad = looks(between(GREY12), voi="percentile", flags={"voi_guessed", "window_invalid"})
    yield case("window_width_0", written(WindowWidth=0), bad)
    yield case("window_width_half", written(WindowWidth=0.5), bad)
    yield case("window_width_negative", written(WindowWidth=-1, VOILUTFunction="LINEAR_EXACT"), bad)
    yield case("window_text", written(WindowCenter=Raw(b"none")), bad)
    yield case("window_nan", written(WindowWidth=Raw(b"nan ")), bad)
    narrow = written(WindowWidth=Raw(b"1e-300"), VOILUTFunction="LINEAR_EXACT")
    step = np.where(x == 2000, 0.5, x > 2000).astype(np.float32)[None]
    yield case("window_exact_narrow", narrow, looks(step))
    yield from _voi_tables(x)


def _voi_tables(x: np.ndarray) -> Iterator[Case]:
    curve = (np.sqrt(np.arange(4096) / 4095) * 1023).astype(np.uint16)
    expected = looks((curve[GREY12] / 1023).astype(np.float32)[None], voi="lut", flags=set())
    sequence = table("VOILUTSequence", 0, curve, 10)
    yield case("voi_lut_before_window", written(VOILUTSequence=sequence), expected)
    with_empty = [*sequence, Dataset()]
    yield case("voi_lut_before_empty_item", written(VOILUTSequence=with_empty), expected)
    late = table("VOILUTSequence", 1000, curve[:2000], 10)
    at = np.clip(GREY12.astype(int) - 1000, 0, 1999)
    clipped = looks((curve[at] / 1023).astype(np.float32)[None], voi="lut")
    yield case("voi_lut_starts_late", written(VOILUTSequence=late), clipped)
    below = table("VOILUTSequence", -1500, curve, 10)
    negative = written(SIGNED, BitsStored=16, HighBit=15, VOILUTSequence=below)
    at = np.clip(SIGNED.astype(int) + 1500, 0, 4095)
    yield case(
        "voi_lut_from_negative",
        negative,
        looks((curve[at] / 1023).astype(np.float32)[None], voi="lut"),
    )
    eight = (curve >> 2).astype(np.uint8)
    packed = written(VOILUTSequence=table("VOILUTSequence", 0, eight, 8))
    yield case("voi_lut_8_bit", packed, looks((eight[GREY12] / 255).astype(np.float32)[None]))
    full = np.arange(65536, dtype=np.uint16)
    all_entries = written(VOILUTSequence=table("VOILUTSequence", 0, full, 16))
    yield case("voi_lut_65536", all_entries, looks((GREY12 / 65535).astype(np.float32)[None]))
    short = table("VOILUTSequence", 0, curve, 10)
    short[0].LUTData = bytes(10)
    fallen = looks(PLAIN, voi="window", flags={"voi_lut_invalid"})
    yield case("voi_lut_short", written(VOILUTSequence=short), fallen)
    yield case("voi_lut_empty", written(VOILUTSequence=[]), looks(PLAIN, flags=set()))


def _modality() -> Iterator[Case]:
    rescaled = looks(linear(GREY12 * 0.5 - 100, 900, 1500), modality_lut="rescale", flags=set())
    window = {"WindowCenter": 900, "WindowWidth": 1500}
    yield case("rescale", written(RescaleSlope=0.5, RescaleIntercept=-100, **window), rescaled)
    falling = looks(linear(4095.0 - GREY12, 2000, 3000), modality_lut="rescale")
    yield case("rescale_falling", written(RescaleSlope=-1, RescaleIntercept=4095), falling)
    guessed = looks(between(4095.0 - GREY12), flags={"voi_guessed"})
    yield case(
        "rescale_falling_no_window",
        written(RescaleSlope=-1, RescaleIntercept=4095, **NO_WINDOW),
        guessed,
    )
    same = looks(PLAIN, modality_lut="none", flags=set())
    yield case("rescale_identity", written(RescaleSlope=1, RescaleIntercept=0), same)
    zero = looks(PLAIN, modality_lut="none", flags={"rescale_slope_zero"})
    yield case("rescale_slope_0", written(RescaleSlope=0, RescaleIntercept=-100), zero)
    text = looks(PLAIN, modality_lut="none", flags={"rescale_invalid"})
    yield case("rescale_text", written(RescaleSlope=Raw(b"one")), text)
    curve = (np.arange(4096) // 2 + 7).astype(np.uint16)
    sequence = table("ModalityLUTSequence", 0, curve, 16)
    yield case(
        "modality_lut",
        written(ModalityLUTSequence=sequence, **window),
        looks(linear(curve[GREY12], 900, 1500), modality_lut="lut", flags=set()),
    )
    short = table("ModalityLUTSequence", 0, curve, 16)
    short[0].LUTData = bytes(10)
    refused = Reason.INVALID_ATTRIBUTE
    yield case("modality_lut_short", written(ModalityLUTSequence=short), refused)


def _colour() -> Iterator[Case]:
    coloured = looks(rgb(COLOUR8), flags={"colour"}, voi="full_range", tolerance=1e-6)
    yield case("rgb_by_pixel", written(COLOUR8), coloured)
    planes = np.moveaxis(COLOUR8, -1, 0).tobytes()
    yield case("rgb_by_plane", written(COLOUR8, PlanarConfiguration=1, PixelData=planes), coloured)
    sixteen = COLOUR8.astype(np.uint16) * 257
    wide = written(sixteen, BitsStored=16, HighBit=15)
    yield case("rgb_16_bit", wide, coloured)
    grey = np.repeat(GREY8[..., None], 3, axis=-1)
    one_channel = looks((GREY8 / 255).astype(np.float32)[None], flags={"colour"})
    yield case("rgb_all_grey", written(grey), one_channel)
    ybr = cv2.cvtColor(COLOUR8, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    close = looks(rgb(COLOUR8), tolerance=3 / 255)
    yield case("ybr_full", written(ybr, PhotometricInterpretation="YBR_FULL"), close)
    smooth = np.repeat(COLOUR8[:, ::2], 2, axis=1)
    ybr = cv2.cvtColor(smooth, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    halved = np.concatenate([ybr[:, ::2, :1], ybr[:, 1::2, :1], ybr[:, ::2, 1:]], axis=-1)
    half = written(ybr, PhotometricInterpretation="YBR_FULL_422", PixelData=halved.tobytes())
    yield case("ybr_full_422", half, looks(rgb(smooth), tolerance=3 / 255))
    yield from _palettes()
    argb = written(PhotometricInterpretation="HSV")
    yield case("photometric_unknown", argb, Reason.UNSUPPORTED_PHOTOMETRIC)
    yield case("rgb_one_sample", written(PhotometricInterpretation="RGB"), Reason.INVALID_ATTRIBUTE)


def _palettes() -> Iterator[Case]:
    random = np.random.default_rng(3)
    lut = random.integers(0, 65536, (256, 3), dtype=np.uint16)
    palette = {"PhotometricInterpretation": "PALETTE COLOR"}
    for at, name in enumerate(("Red", "Green", "Blue")):
        palette |= {
            f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16],
            f"{name}PaletteColorLookupTableData": lut[:, at].tobytes(),
        }
    coloured = looks(rgb(lut[GREY8], 65535), flags={"colour"})
    yield case("palette", written(GREY8, **palette), coloured)
    wide = written(GREY8.astype(np.uint16), **palette)
    yield case("palette_16_bit_index", wide, coloured)
    missing = palette | {"BluePaletteColorLookupTableData": None}
    yield case("palette_without_blue", written(GREY8, **missing), Reason.MISSING_ATTRIBUTE)


def _spacing() -> Iterator[Case]:
    def told(name: str, spacing: tuple[float, float] | None, flags: set[str], **attributes: object):
        return case(name, written(**attributes), looks(PLAIN, spacing=spacing, flags=flags))

    detector = {"spacing_at_detector"}
    yield told("spacing", (0.14, 0.14), set(), PixelSpacing=[0.14, 0.14])
    yield told("spacing_uneven", (0.2, 0.1), {"pixels_not_square"}, PixelSpacing=[0.2, 0.1])
    yield told("spacing_imager", (0.15, 0.15), detector, ImagerPixelSpacing=[0.15, 0.15])
    both = {"PixelSpacing": [0.13, 0.13], "ImagerPixelSpacing": [0.15, 0.15]}
    yield told("spacing_calibrated", (0.13, 0.13), set(), **both)
    same = {"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.15, 0.15]}
    yield told("spacing_copied", (0.15, 0.15), detector, **same)
    yield told("spacing_scanned", (0.1, 0.1), set(), NominalScannedPixelSpacing=[0.1, 0.1])
    invalid = {"spacing_invalid"}
    yield told("spacing_zero", None, invalid, PixelSpacing=Raw(b"0.000\\0.000"))
    yield told("spacing_negative", None, invalid, PixelSpacing=[-0.1, 0.1])
    yield told("spacing_one_value", None, invalid, PixelSpacing=Raw(b"0.1"))
    yield told("spacing_text", None, invalid, PixelSpacing=Raw(b"0.1\\wide"))
    yield told("spacing_empty", None, set(), PixelSpacing="")
    passed = {"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.15, 0.15]}
    yield told("spacing_zero_then_imager", (0.15, 0.15), invalid | detector, **passed)
    yield told("aspect_2_to_1", None, {"pixels_not_square"}, PixelAspectRatio=[2, 1])
    yield told("aspect_1_to_1", None, set(), PixelAspectRatio=[1, 1])


def _kinds() -> Iterator[Case]:
    processing = looks(PLAIN, flags={"for_processing"})
    for name, uid in (("dx", f"{CR}.1.1"), ("mg", f"{CR}.2.1")):
        yield case(f"{name}_for_processing", written(SOPClassUID=uid), processing)
    intent = written(PresentationIntentType="FOR PROCESSING")
    yield case("intent_for_processing", intent, processing)
    yield case("cr", written(SOPClassUID=CR), looks(PLAIN, flags=set(), sop_class=CR))
    yield case("mg", written(SOPClassUID=f"{CR}.2"), looks(PLAIN, flags=set()))
    for name, ending in (("", ""), ("_byte", ".2"), ("_word", ".3"), ("_colour", ".4")):
        uid = f"{SECONDARY_CAPTURE}{ending}"
        captured = looks(PLAIN, flags={"secondary_capture"}, sop_class=uid)
        yield case(f"secondary_capture{name}", written(SOPClassUID=uid), captured)
    burnt = looks(PLAIN, flags={"burned_in_annotation"})
    yield case("burned_in", written(BurnedInAnnotation="YES"), burnt)
    yield case("not_burned_in", written(BurnedInAnnotation="NO"), looks(PLAIN, flags=set()))
