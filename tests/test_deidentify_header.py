"""Nothing that identifies is left of a header: canaries in every element, and none found."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from corpus.dicom_films import DX, EXPLICIT, GREY12, IMPLICIT, Raw, film, put, save
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID
from pydicom.valuerep import STR_VR

from pipelines.cli import main
from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
from pipelines.deploy.deidentify import kept
from pipelines.deploy.deidentify.codes import known_code
from pipelines.deploy.deidentify.film import inspect_film, place_of, write_film
from pipelines.deploy.deidentify.key import PseudonymKey
from pipelines.deploy.deidentify.profile import Action, Cleaner, Options, action_for, table
from pipelines.ingest.read import read_radiograph
from pipelines.radiograph import Identity

KEY = PseudonymKey(b"a key for tests, and for nothing else")
OTHER_KEY = PseudonymKey(b"another key for tests, of no more use")
BOTH = Options(modified_dates=True, patient_characteristics=True)
IDENTITY = Identity("PATIENT 7", "1.2.3", "1.2.4", "1.2.5")

STRINGS = {each.name for each in STR_VR} | {"UI"}
BYTES = {"OB", "UN", "OB or OW"}
NEEDED = {
    *("SOPClassUID", "PhotometricInterpretation", "NumberOfFrames", "PixelData"),
    *("SpecificCharacterSet", "PresentationLUTShape", "VOILUTFunction"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"),
}
"""What the reader itself would refuse or understand otherwise."""

CANARY = b"CANARY"


def canary(kind: str, number: int) -> Raw:
    """A value that no other element has; of its kind for elements that hold such values."""
    by_kind = {
        "UI": f"1.2.31415926.{number}",
        "DA": "19370203",
        "TM": f"031415.{926000 + number % 1000}",
        "DT": f"19370203031415.{number:06d}",
    }
    return Raw(by_kind.get(kind, f"CANARY{number}").encode())


FOUND = (CANARY, b"1.2.31415926", b"19370203", b"031415")


@cache
def canary_dataset() -> Dataset:
    """A film with a canary in every string element of the dictionary, and in more places."""
    dataset = film()
    for number, tag in enumerate(sorted(DicomDictionary)):
        keyword, kind = keyword_for_tag(tag), dictionary_VR(tag)
        if not keyword or keyword in NEEDED or tag >> 16 in {0, 2, 4, 0xFFFE, 0x7FE0}:
            continue
        if kind in STRINGS:
            put(dataset, keyword, canary(kind, number))
        elif kind in BYTES:
            put_bytes(dataset, tag, kind)
    plant_elsewhere(dataset)
    return dataset


def put_bytes(dataset: Dataset, tag: int, kind: str) -> None:
    dataset._dict[Tag(tag)] = RawDataElement(
        Tag(tag), kind.partition(" or ")[0], 10, b"CANARYBYTE", 0, False, True
    )


def plant_elsewhere(dataset: Dataset) -> None:
    """Private elements, unknown ones, repeating groups, sequences in sequences, an icon."""
    for group in (0x0009, 0x0029, 0x7FE1):
        block = dataset.private_block(group, "CANARY MAKER", create=True)
        block.add_new(1, "LO", "CANARY PRIVATE")
        block.add_new(2, "UN", b"CANARY UNKNOWN")
        block.add_new(3, "SQ", [item("CANARY IN PRIVATE")])
    for tag, kind in (
        (0x60000022, "LO"),
        (0x60021500, "LO"),
        (0x60004000, "LT"),
        (0x50002600, "LO"),
    ):
        dataset.add_new(tag, kind, "CANARY OVERLAY")
    dataset.add_new(0x60003000, "OB", b"CANARY OVERLAY DATA ")
    dataset.add_new(0x50003000, "OW", b"CANARY CURVE")
    dataset.add_new(0x00189999, "UN", b"CANARY NO SUCH TAG")
    put_bytes(dataset, tag_for_keyword("KVP"), "UN")
    sequences = [tag for tag in DicomDictionary if dictionary_VR(tag) == "SQ" and tag >> 16 > 4]
    for tag in sequences:
        if keyword_for_tag(tag) not in {"ModalityLUTSequence", "VOILUTSequence"}:
            inner = [] if action_for(Tag(tag)) is Action.REMOVE else [item("CANARY TWICE")]
            dataset.add_new(tag, "SQ", [item("CANARY ONCE", inner)])
    icon = film(GREY12[:8, :8])
    icon.PixelData = b"CANARYPIXELS" * 10
    dataset.IconImageSequence = [icon]


def item(text: str, inner: list[Dataset] | None = None) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = "CANARY", "99CANARY", text
    made.PatientName = made.Manufacturer = made.TextValue = text
    made.ReferencedSOPInstanceUID = "1.2.31415926.1"
    made.BodyPartExamined = "CANARY"
    if inner:
        made.ReferencedImageSequence = made.SourceImageSequence = inner
        made.VOILUTSequence = inner
        made.ConceptNameCodeSequence = inner
    return made


def write_canaries(path: Path, syntax: str) -> Path:
    dataset = canary_dataset()
    meta = dataset.file_meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = DX, "1.2.31415926.4"
    meta.TransferSyntaxUID = syntax
    meta.SourceApplicationEntityTitle = "CANARYAE"
    meta.SendingApplicationEntityTitle = "CANARYSEND"
    meta.ImplementationVersionName = "CANARYVERSION"
    meta.PrivateInformationCreatorUID = "1.2.31415926.5"
    meta.PrivateInformation = b"CANARYMETA"
    dataset.preamble = (b"CANARYPREAMBLE" * 10)[:128]
    pydicom.dcmwrite(path, dataset, implicit_vr=syntax == IMPLICIT, little_endian=True)
    content = path.read_bytes()
    assert content.count(CANARY) > 1500
    assert all(each in content for each in FOUND)
    return path


@pytest.fixture
def _lenient(monkeypatch):
    """Let pydicom write whatever is planted."""
    monkeypatch.setattr(pydicom.config.settings, "_writing_validation_mode", pydicom.config.IGNORE)
    monkeypatch.setattr(pydicom.config.settings, "_reading_validation_mode", pydicom.config.IGNORE)


@pytest.mark.usefixtures("_lenient")
@pytest.mark.parametrize(
    ("syntax", "options"), [(EXPLICIT, ["--retain-dates", "--retain-patient"]), (IMPLICIT, [])]
)
def test_no_canary_is_left_anywhere(tmp_path, capfd, syntax, options):
    source = tmp_path / "CANARY FOLDER"
    source.mkdir()
    path = write_canaries(source / "CANARYNAME.dcm", syntax)
    output = tmp_path / "out"
    (source / "CANARY.txt").write_text("CANARY")
    with pytest.MonkeyPatch.context() as strict:
        strict.setattr(pydicom.config.settings, "_reading_validation_mode", pydicom.config.WARN)
        arguments = ["deidentify", str(source), str(output), "--key", str(tmp_path / "key")]
        status = main([*arguments, *options, "--include-flagged", "burned_in_annotation"])
    assert status == 0
    (written,) = output.rglob("*.dcm")
    said = capfd.readouterr()
    told = [said.out.replace(str(output), ""), said.err]
    told += [str(each.relative_to(output)) for each in output.rglob("*")]
    texts = [each.encode() for each in told]
    texts += [each.read_bytes() for each in output.rglob("*") if each.is_file()]
    for text in texts:
        for spelling in FOUND:
            assert spelling not in text
        assert "CANARY".encode("utf-16-le") not in text
    assert written.read_bytes()[:128] == bytes(128)
    assert np.array_equal(read_radiograph(path).pixels, read_radiograph(written).pixels)


def test_the_method_is_recorded(tmp_path):
    save(tmp_path / "film.dcm", film())
    made = exported(tmp_path / "film.dcm", BOTH)
    assert made.PatientIdentityRemoved == "YES"
    assert all(len(each) <= 64 for each in made.DeidentificationMethod)
    codes = [each.CodeValue for each in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107", "113108"]
    from pydicom.sr.codedict import codes as known

    expected = (
        known.DCM.BasicApplicationConfidentialityProfile,
        known.DCM.RetainLongitudinalTemporalInformationModifiedDatesOption,
        known.DCM.RetainPatientCharacteristicsOption,
    )
    for each, code in zip(made.DeidentificationMethodCodeSequence, expected, strict=True):
        assert (each.CodeValue, each.CodeMeaning) == (code.value, code.meaning)


def exported(path: Path, options: Options = Options(), key: PseudonymKey = KEY) -> Dataset:  # noqa: B008
    cleaner = Cleaner(key, options)
    found = inspect_film(path)
    target = path.with_name("out") / place_of(found, cleaner)
    write_film(found, target, cleaner)
    return pydicom.dcmread(target)


def test_the_table_of_the_standard_decides():
    """Whatever it removes is removed; what stays of it are UIDs, references and emptied values."""
    rules = table()
    assert len(rules) > 600
    for tag, rule in rules.items():
        if tag.group != 2:
            assert action_for(tag) in {rule, Action.EMPTY}, keyword_for_tag(tag)
    assert action_for(Tag("PatientName")) is Action.EMPTY
    assert action_for(Tag("StudyInstanceUID")) is Action.UID
    assert action_for(Tag("DeviceSerialNumber")) is Action.REMOVE
    assert action_for(Tag(0x00091001)) is Action.REMOVE
    assert action_for(Tag(0x60023000)) is Action.REMOVE


def test_what_is_kept_is_not_in_the_table_and_has_a_form():
    """A kept string is a number, a defined term, a registered UID or a code: never text."""
    named = {keyword_for_tag(tag) for tag in table()}
    listed = kept.NUMBERS | kept.TERMS.keys() | kept.CODES | kept.SEQUENCES | kept.CLASS_UIDS
    assert not listed & named
    kinds = {keyword: dictionary_VR(tag_for_keyword(keyword)) for keyword in listed}
    assert not {kinds[each] for each in kept.NUMBERS} & (STRINGS - {"DS", "IS"})
    assert {kinds[each] for each in kept.TERMS} <= {"CS", "LO", "SH"}
    assert {kinds[each] for each in kept.CODES | kept.SEQUENCES} == {"SQ"}


def test_research_keeps_how_the_film_was_made(tmp_path):
    told = {
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "ImageType": ["ORIGINAL", "PRIMARY", "MILLER"],
        "KVP": "120",
        "PixelSpacing": ["0.143", "0.143"],
        "PatientOrientation": ["L", "F"],
        "Manufacturer": "GE Healthcare of Dr. Miller",
        "PresentationIntentType": "FOR PRESENTATION",
        "BurnedInAnnotation": "NO",
    }
    save(tmp_path / "film.dcm", film(**told))
    made = exported(tmp_path / "film.dcm")
    for keyword, value in told.items():
        if keyword not in {"ImageType", "Manufacturer"}:
            assert made[keyword].value == value, keyword
    assert list(made.ImageType) == ["ORIGINAL", "PRIMARY", ""]
    assert made.Manufacturer == "GE"


def test_patient_and_dates_stay_by_choice_alone(tmp_path):
    told = {"StudyDate": "20240229", "SeriesDate": "20240301", "StudyTime": "101112"}
    save(tmp_path / "film.dcm", film(PatientSex="F", PatientAge="094Y", **told))
    strict = exported(tmp_path / "film.dcm")
    assert (strict.PatientSex, strict.StudyDate, strict.StudyTime) == ("", "", "")
    assert "PatientAge" not in strict
    assert "SeriesDate" not in strict
    assert strict.LongitudinalTemporalInformationModified == "REMOVED"
    made = exported(tmp_path / "film.dcm", BOTH)
    assert (made.PatientSex, made.PatientAge) == ("F", "090Y")
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    assert made.StudyTime == ""
    moved = np.datetime64(f"{made.StudyDate[:4]}-{made.StudyDate[4:6]}-{made.StudyDate[6:]}")
    assert moved == np.datetime64("2024-02-29") - KEY.days("CANARYID99")
    assert int(made.SeriesDate) != 20240301


@pytest.mark.parametrize(
    ("written", "kept_as"),
    [
        *(("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("999M", "999M")),
        *(("012W", "012W"), ("Miller", None), ("94Y", None), ("", None)),
    ],
)
def test_ages_are_capped_and_others_dropped(written, kept_as):
    source = film(PatientAge=Raw(written.encode()))
    assert Cleaner(KEY, BOTH).clean(source, IDENTITY).get("PatientAge") == kept_as


def test_references_between_films_stay_whole(tmp_path):
    first, second = film(), film()
    second.StudyInstanceUID = first.StudyInstanceUID
    reference = Dataset()
    reference.ReferencedSOPClassUID = first.SOPClassUID
    reference.ReferencedSOPInstanceUID = first.SOPInstanceUID
    second.SourceImageSequence = [reference]
    save(tmp_path / "first.dcm", first)
    save(tmp_path / "second.dcm", second)
    one, two = exported(tmp_path / "first.dcm"), exported(tmp_path / "second.dcm")
    assert one.StudyInstanceUID == two.StudyInstanceUID != first.StudyInstanceUID
    assert two.SourceImageSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID
    assert one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.PatientID == two.PatientID == KEY.name("patient", "CANARYID99")


def test_codes_stay_if_the_dictionary_has_them():
    def code(value: str, scheme: str) -> Dataset:
        made = Dataset()
        made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, "Miller"
        return made

    chest = known_code(code("51185008", "SCT"))
    assert (chest.CodeValue, chest.CodeMeaning) == (
        "51185008",
        "Thoracic structure (body structure)",
    )
    assert "Miller" not in str(chest)
    older = known_code(code("T-D3000", "SRT"))
    assert older is not None
    assert older.CodeMeaning == chest.CodeMeaning
    assert known_code(code("MILLER", "99LOCAL")) is None
    assert known_code(Dataset()) is None


identifiers = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1)


@given(identifiers, identifiers)
def test_the_same_key_gives_the_same_pseudonym_and_another_key_another(one, other):
    assert KEY.name("patient", one) == PseudonymKey(KEY.secret).name("patient", one)
    assert KEY.name("patient", one) != OTHER_KEY.name("patient", one)
    assert KEY.name("patient", one) != KEY.name("study", one).replace("study", "patient")
    assert (KEY.name("patient", one) == KEY.name("patient", other)) == (one == other)
    assert KEY.name("patient", f"{one} \0") == KEY.name("patient", one)
    assert KEY.uid(one) == PseudonymKey(KEY.secret).uid(one)
    assert KEY.uid(one) != OTHER_KEY.uid(one)
    assert (KEY.uid(one) == KEY.uid(other)) == (one == other)
    assert UID(KEY.uid(one)).is_valid
    assert len(KEY.uid(one)) <= 44
    assert 1 <= KEY.days(one) <= 3650


@given(st.dates(min_value=np.datetime64("1920-01-01").item()), st.integers(0, 3000), identifiers)
def test_moved_dates_keep_their_intervals(first, days, patient):
    from datetime import timedelta

    later = first - timedelta(days)
    cleaner = Cleaner(KEY, BOTH)
    identity = Identity(patient, "1.2", "1.3", "1.4")
    moved = [
        np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}")
        for each in (first, later)
        for text in [cleaner.clean(film(StudyDate=f"{each:%Y%m%d}"), identity).StudyDate]
    ]
    assert (moved[0] - moved[1]).astype(int) == days
    assert moved[0] < np.datetime64(first)


def test_elements_that_claim_another_kind_do_not_stay():
    source = film()
    source[Tag("KVP")] = DataElement(Tag("KVP"), "LO", "Miller")
    source[Tag("Rows")] = DataElement(Tag("Rows"), "US", 38)
    made = Cleaner(KEY, Options()).clean(source, IDENTITY)
    assert "KVP" not in made
    assert made.Rows == 38


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is absent")
def test_a_validator_finds_no_error_that_the_source_has_not(tmp_path, real_dicom):
    made_up = tmp_path / "made_up.dcm"
    header = FilmHeader("x", "SAMPLE-0001", 1, inverted=True, sex="F", age_years=93)
    grey = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(64, 48)
    write_dx(made_up, grey, header=header)
    for number, source in enumerate([made_up, real_dicom / "data" / "RG3_J2KI.dcm"]):
        path = tmp_path / f"{number}" / source.name
        path.parent.mkdir()
        shutil.copy(source, path)
        exported(path, BOTH if number else Options())
        (made,) = path.with_name("out").rglob("*.dcm")
        assert errors_of(made) <= errors_of(source)


def errors_of(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines
    return {line for line in lines if line.startswith("Error")}
