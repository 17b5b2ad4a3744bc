"""Real films, and laws that hold for every film."""

import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from corpus.dicom_films import EXPLICIT, GREY12, film, linear, save, written
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import pixel_array

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom import inspect_dicom, read_dicom
from pipelines.ingest.dicom_kind import check_class

LOSSLESS = ("REF", "J2KR", "JLSL", "JPLL", "RLE")


def pixels_of(path: Path) -> np.ndarray:
    return read_dicom(path).pixels


@pytest.mark.parametrize("name", ["RG1", "RG3"])
def test_real_films_are_equal_uncompressed_and_in_jpeg_2000(real_dicom, name):
    plain = read_dicom(next(real_dicom.rglob(f"{name}_UNCR.dcm")))
    packed = read_dicom(next(real_dicom.rglob(f"{name}_J2KR.dcm")))
    assert np.array_equal(plain.pixels, packed.pixels)
    assert plain.provenance.inverted
    assert plain.provenance.voi == "window"
    assert (plain.provenance.decoder, packed.provenance.decoder) == ("numpy", "imagecodecs")


@pytest.mark.parametrize("name", ["RG1", "RG3"])
def test_lossy_jpeg_2000_is_equal_to_what_it_was_decoded_to(real_dicom, name):
    plain = pixels_of(next(real_dicom.rglob(f"{name}_UNCI.dcm")))
    assert np.array_equal(plain, pixels_of(next(real_dicom.rglob(f"{name}_J2KI.dcm"))))


def test_bone_is_bright(real_dicom):
    # The lower leg: the shaft of the tibia against the air beside the leg.
    leg = pixels_of(next(real_dicom.rglob("RG3_UNCR.dcm")))[0, 400:900]
    assert np.median(leg[:, 820:880]) > np.median(leg[:, 520:560]) + 0.3


@pytest.mark.parametrize("name", ["RG1", "RG2", "RG3"])
def test_lossless_syntaxes_of_a_film_are_equal(shared_data, real_dicom, name):
    folder = shared_data / "dicom" / "WG04"
    files = [path for path in sorted(folder.rglob(f"{name}_*")) if path.parent.name in LOSSLESS]
    files += sorted(real_dicom.rglob(f"{name}_UNCR.dcm"))
    first, *others = [pixels_of(path) for path in files]
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("kind", ["JLSN", "JPLY", "J2KI"])
def test_lossy_syntaxes_of_a_film_are_close(shared_data, kind):
    folder = shared_data / "dicom" / "WG04"
    plain = pixels_of(folder / "REF" / "RG2_UNC")
    lossy = pixels_of(folder / kind / f"RG2_{kind}")
    assert np.abs(plain - lossy).max() < 0.11
    assert np.abs(plain - lossy).mean() < 0.005


def test_only_the_frame_that_is_asked_for_is_read(tmp_path):
    stack = np.stack([GREY12, GREY12[::-1], GREY12[:, ::-1]])
    path = tmp_path / "three.dcm"
    written(NumberOfFrames=3, PixelData=stack.tobytes())(path)
    assert inspect_dicom(path).frames == 3
    for frame in range(3):
        radiograph = read_dicom(path, frame=frame)
        assert np.array_equal(radiograph.pixels, linear(stack[frame], 2000, 3000))
        assert radiograph.frame == frame
    for frame in (3, -1):
        with pytest.raises(InputError) as refusal:
            read_dicom(path, frame=frame)
        assert refusal.value.reason is Reason.NO_SUCH_FRAME


def test_compressed_frames_are_told_apart(tmp_path):
    from corpus.dicom_cases import cases

    stack = np.stack([GREY12, GREY12[::-1], GREY12[:, ::-1]])
    several = [case for case in cases() if case.name.startswith("dicom_three_frames_")]
    assert len(several) == 3
    for case in several:
        path = tmp_path / case.filename
        case.write(path)
        for frame in range(3):
            assert np.array_equal(
                read_dicom(path, frame=frame).pixels, linear(stack[frame], 2000, 3000)
            )


def test_header_is_what_pydicom_says(real_dicom):
    for path in sorted(real_dicom.rglob("RG*.dcm")):
        header, told = inspect_dicom(path), pydicom.dcmread(path, stop_before_pixels=True)
        assert header.sop_class == told.SOPClassUID
        assert header.syntax == told.file_meta.TransferSyntaxUID
        assert header.identity.patient_id == told.PatientID
        assert header.identity.study_instance_uid == told.StudyInstanceUID
        assert header.identity.series_instance_uid == told.SeriesInstanceUID
        assert header.sop_instance_uid == told.SOPInstanceUID
        assert (header.layout.rows, header.layout.columns) == (told.Rows, told.Columns)
        assert header.layout.bits_stored == told.BitsStored


def test_colours_are_what_pydicom_decodes(real_dicom):
    folders = (Path(pydicom.__file__).parent / "data" / "test_files", real_dicom)
    compared = 0
    for path in sorted(path for folder in folders for path in folder.rglob("SC_*.dcm")):
        if "32bit" in path.name:
            with pytest.raises(InputError) as refusal:
                read_dicom(path)
            assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT
            continue
        radiograph = read_dicom(path)
        # pydicom refuses the offset table of the one, and needs one more decoder for the other.
        if path.name in {"SC_rgb_jpeg.dcm", "SC_rgb_jpeg_gdcm.dcm"}:
            continue
        with warnings.catch_warnings(action="ignore"):
            told = pixel_array(path, index=0)
        largest = 2**radiograph.provenance.bits - 1
        expected = np.moveaxis(told / largest, -1, 0).astype(np.float32)
        assert np.array_equal(radiograph.pixels, expected), path.name
        compared += 1
    assert compared > 30


def test_every_file_of_pydicom_is_read_or_refused():
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    reasons = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            read_dicom(path)
        except InputError as error:
            reasons.add(error.reason)
    assert reasons == {
        Reason.DICOMDIR,
        Reason.MISSING_ATTRIBUTE,
        Reason.NOT_AN_IMAGE,
        Reason.NOT_A_RADIOGRAPH,
        Reason.PIXEL_LENGTH_MISMATCH,
        Reason.UNSUPPORTED_FORMAT,
    }


def test_missing_file_is_refused_without_its_path(tmp_path):
    for function in (read_dicom, inspect_dicom):
        with pytest.raises(InputError) as refusal:
            function(tmp_path / "Doe^Jane.dcm")
        assert refusal.value.reason is Reason.FILE_UNREADABLE
        assert "Doe" not in str(refusal.value)


def test_threads_read_the_same(real_dicom):
    paths = [next(real_dicom.rglob(f"RG3_{kind}.dcm")) for kind in ("UNCR", "J2KR")] * 3
    found: dict[int, np.ndarray] = {}

    def read(at: int) -> None:
        found[at] = pixels_of(paths[at])

    threads = [threading.Thread(target=read, args=(at,)) for at in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(paths)
    assert all(np.array_equal(found[0], other) for other in found.values())


# Laws. Stored values of 12 bits in containers of 16, in an image of one row.

stored = st.lists(st.integers(0, 4095), min_size=2, max_size=60).map(
    lambda values: np.array([values], np.uint16)
)
functions = st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"])
centers = st.integers(-500, 5000)
widths = st.integers(1, 6000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("laws")


def grey(folder: Path, values: np.ndarray, **attributes: object) -> np.ndarray:
    path = folder / "film.dcm"
    save(path, film(values, **attributes), EXPLICIT)
    return pixels_of(path)


@settings(max_examples=40, deadline=None)
@given(values=stored, center=centers, width=widths, function=functions)
def test_a_window_is_monotone_and_stays_in_range(folder, values, center, width, function):
    window = {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function}
    pixels = grey(folder, np.sort(values), **window)[0, 0]
    assert (np.diff(pixels) >= 0).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 1


@settings(max_examples=40, deadline=None)
@given(values=stored, center=centers, width=widths, function=functions)
def test_twins_of_opposite_polarity_are_equal(folder, values, center, width, function):
    # The window's middle is half a value higher for LINEAR than for the others.
    turned = 4095 - center + (1 if function == "LINEAR" else 0)
    told = {"WindowWidth": width, "VOILUTFunction": function}
    two = grey(folder, values, WindowCenter=center, **told)
    one = grey(folder, 4095 - values, WindowCenter=turned, **told, **ONE)
    # At a step, a width of 1, the standard gives the value on it to one side.
    if width > 1 or function != "LINEAR":
        assert np.array_equal(one, two)


ONE = {"PhotometricInterpretation": "MONOCHROME1"}
NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}


@settings(max_examples=40, deadline=None)
@given(values=stored)
def test_twins_without_a_window_are_equal(folder, values):
    two = grey(folder, values, **NO_WINDOW)
    one = grey(folder, 4095 - values, **NO_WINDOW, **ONE)
    assert np.array_equal(one, two)


@settings(max_examples=40, deadline=None)
@given(values=stored, junk=st.integers(0, 15))
def test_bits_above_the_stored_ones_do_not_count(folder, values, junk):
    for attributes in ({}, NO_WINDOW):
        plain = grey(folder, values, **attributes)
        above = grey(folder, values | np.uint16(junk << 12), **attributes)
        assert np.array_equal(plain, above)


@settings(max_examples=40, deadline=None)
@given(values=stored)
def test_signed_values_are_extended_from_the_highest_stored_bit(folder, values):
    signed = values.astype(np.int16) - 2048
    window = {"WindowCenter": 0, "WindowWidth": 4096}
    extended = grey(folder, signed.astype(np.int16), **window)
    bare = grey(folder, (signed & 0x0FFF).astype(np.int16), **window)
    assert np.array_equal(extended, bare)
    assert np.array_equal(extended, linear(signed, 0, 4096))


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        (
            "1.2.840.10008.5.1.4.1.1.88.11",
            r"the SOP class 1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.11;",
        ),
        ("Doe^Jane", r"the SOP class \(an invalid UID\);"),
    ],
)
def test_what_is_no_radiograph_is_said_with_what_to_do(uid, said):
    meta = SimpleNamespace(text=lambda _name: "")
    with pytest.raises(InputError, match=rf"expected .*, got {said} leave it out"):
        check_class(SimpleNamespace(text=lambda _name: uid), meta)
