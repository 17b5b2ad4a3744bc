"""What results take from a film's header: all of it as it is, or a reason why not."""

import pydicom
import pytest
from bundle_fixture import write_dicom, write_png

from pipelines.errors import InputError, Reason
from pipelines.results.dicom_source import read_source


@pytest.fixture
def film(tmp_path):
    """Write a film whose header is changed, by bytes where text is no text."""

    def write(charset=None, *, drop=(), raw=None, **values):
        path = write_dicom(tmp_path / "film.dcm", patient="P-1", name="Doe^Jane")
        dataset = pydicom.dcmread(path)
        if charset is not None:
            dataset.SpecificCharacterSet = charset
        for keyword in drop:
            del dataset[keyword]
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
        if raw is not None:
            before, after = raw
            content = path.read_bytes()
            assert content.count(before) == 1
            assert len(before) == len(after)
            path.write_bytes(content.replace(before, after))
        return path

    return write


def test_identity_laterality_and_orientation_are_copied(film):
    source = read_source(film(AccessionNumber="A7", IssuerOfPatientID="HOSPITAL"))
    attributes = source.attributes
    assert (attributes.PatientName, attributes.PatientID) == ("Doe^Jane", "P-1")
    assert (attributes.AccessionNumber, attributes.IssuerOfPatientID) == ("A7", "HOSPITAL")
    assert attributes.PatientOrientation == ["L", "F"]
    assert source.laterality == "U"
    assert source.is_measured_at_detector
    assert "PixelData" not in attributes
    assert "Doe" not in repr(source)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 144", "Юлия^Шишкина"),
        ("GB18030", "王^小东"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_a_name_in_any_character_set_stays_that_name(film, charset, name):
    assert str(read_source(film(charset, PatientName=name)).attributes.PatientName) == name


@pytest.mark.parametrize(
    ("charset", "raw", "told"),
    [
        (None, (b"Doe^Jane", b"D\xf6e^Jane"), "SpecificCharacterSet"),
        ("ISO_IR 192", (b"Doe^Jane", b"D\xf6e^Jane"), "character set"),
        ("ISO_IR 100", (b"ISO_IR 100", b"ISO_IR 999"), "SpecificCharacterSet"),
    ],
)
def test_a_name_that_cannot_be_read_is_not_guessed(film, charset, raw, told):
    with pytest.raises(InputError, match=told) as refused:
        read_source(film(charset, raw=raw))
    assert refused.value.reason is Reason.INVALID_ATTRIBUTE
    assert "Jane" not in str(refused.value)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_without_a_study_or_an_image_there_is_nothing_to_belong_to(film, keyword):
    with pytest.raises(InputError, match=keyword) as refused:
        read_source(film(drop=[keyword]))
    assert refused.value.reason is Reason.MISSING_ATTRIBUTE


def test_a_uid_that_is_a_path_is_refused(film):
    uid = str(pydicom.dcmread(film()).StudyInstanceUID).encode()
    hostile = b"../" * (len(uid) // 3) + b"." * (len(uid) % 3)
    with pytest.raises(InputError, match="StudyInstanceUID to be a UID") as refused:
        read_source(film(raw=(uid, hostile)))
    assert refused.value.reason is Reason.INVALID_ATTRIBUTE
    assert ".." not in str(refused.value)


def test_what_is_absent_is_empty_and_what_is_wrong_is_left_out(film):
    drop = ["PatientBirthDate", "ReferringPhysicianName", "StudyID", "AccessionNumber"]
    absent = read_source(film(drop=drop)).attributes
    assert [absent[keyword].value or "" for keyword in drop] == [""] * 4
    assert "Laterality" not in absent
    sex = b"\x10\x00\x40\x00CS\x02\x00"
    wrong = read_source(film(raw=(sex + b"F ", sex + b"? "))).attributes
    assert wrong.PatientSex == ""


@pytest.mark.parametrize(
    ("given", "kept"),
    [("AL\\PRH", ["AL", "PRH"]), ("L\\XX", None), ("L", None), ("L\\F\\H", None), ("XX\\L", None)],
)
def test_an_orientation_is_two_directions_or_unknown(film, given, kept):
    attributes = read_source(film(PatientOrientation=given)).attributes
    assert attributes.get("PatientOrientation") == kept


def test_of_two_sides_the_image_s_is_taken(film):
    source = read_source(film(Laterality="L", ImageLaterality="R"))
    assert (source.laterality, "Laterality" in source.attributes) == ("R", False)


def test_several_frames_in_a_class_of_single_frames_cannot_be_referred_to(film):
    path = film(NumberOfFrames=3)
    dataset = pydicom.dcmread(path)
    dataset.PixelData *= 3
    dataset.save_as(path)
    with pytest.raises(InputError, match="one frame in an image of its SOP class"):
        read_source(path, frame=1)


def test_a_picture_has_no_patient(tmp_path):
    with pytest.raises(InputError) as refused:
        read_source(write_png(tmp_path / "film.png"))
    assert refused.value.reason is Reason.NO_DICOM_SOURCE
