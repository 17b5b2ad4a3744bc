"""Each kind of object from each kind of film: valid, equal to the pixel, and nothing made up."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import dicom_sources_fixture as sources
import highdicom
import numpy as np
import pydicom
import pytest
import validators_fixture as validators
from PIL import Image

from pipelines.errors import Reason
from pipelines.ingest.read import read_radiograph
from pipelines.predictions import AnomalyDetection, Classification, Segmentation
from pipelines.results.captures import Heat
from pipelines.results.dicom_common import Decision, Model
from pipelines.results.dicom_kinds import Kind, MissingObject, SegLayers
from pipelines.results.dicom_objects import ObjectWriter
from pipelines.results.masks import measure_region

MODEL = Model("made_up", "0.0.1", "ab" * 32, "0.1.0")
KINDS = (Kind.SEG, Kind.SR, Kind.SC, Kind.GSPS)
FILMS = {
    "cr": (sources.cr, 0),
    "cr_of_little": (sources.cr_of_little, 1),
    "cr_of_a_chest": (sources.cr_of_a_chest, 0),
    "dx_right": (sources.dx_right, 1),
    "dx_uneven": (sources.dx_uneven, 0),
    "dx_with_table": (sources.dx_with_table, 0),
    "mg": (sources.mg, 0),
    "chinese": (sources.of_a_chinese_name, 0),
}
PNEUMONIA = Classification("f", 1, "PNEUMONIA", 0.9, {"NORMAL": 0.1, "PNEUMONIA": 0.9}, True, 3.5)
SEGMENT_NAMES = ("Radius", "Ulna", "finger-3")
needs_validators = pytest.mark.skipif(
    bool(validators.MISSING), reason=f"not installed: {', '.join(validators.MISSING)}"
)


def masks_for(shape):
    """Two structures that overlap, one apart, and one that was not found."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    scale = min(shape) / 50
    discs = {"Radius": (20, 20), "Ulna": (26, 24), "finger-3": (50, 40)}
    found = {
        name: (rows - row * scale) ** 2 + (columns - column * scale) ** 2 < (8 * scale) ** 2
        for name, (row, column) in discs.items()
    }
    return found | {"Pisiform": np.zeros(shape, dtype=bool)}


def segmentation_of(path, frame=0):
    film = read_radiograph(path, frame=frame)
    masks = masks_for(film.pixels.shape[1:])
    return Segmentation(
        "film.dcm",
        tuple(measure_region(n, mask, spacing_mm=film.spacing_mm) for n, mask in masks.items()),
        out_of_distribution=False,
        guard_score=0.5,
    )


def heat_of(path):
    """Nothing on the left half of a film, more and more to the right."""
    height, width = read_radiograph(path).pixels.shape[1:]
    ramp = np.clip(np.linspace(-1, 1, width, dtype=np.float32), 0, 1)
    return Heat(np.tile(ramp, (height, 1)), "Grad-CAM, 6 x 6 places")


def write_all(path, folder, record, *, kinds=KINDS, layers=SegLayers.ONE, frame=0):
    """Write objects; return what was written by kind, and what is missing."""
    positive = tuple(getattr(record, "probabilities", ()))[-1:]
    decision = Decision(0.4, positive, 3.0)
    writer = ObjectWriter(folder, kinds, MODEL, decision, layers)
    heat = None if isinstance(record, Segmentation) else heat_of(path)
    results = writer.write(path, record, frame=frame, heat=heat)
    missing = [each for each in results if isinstance(each, MissingObject)]
    written = {}
    for each in results:
        if not isinstance(each, MissingObject):
            written.setdefault(each.kind, []).append(folder / each.file)
    return written, missing


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Path of each film, and the objects of its structures."""
    folder = tmp_path_factory.mktemp("objects")
    made = {}
    for name, (change, seed) in FILMS.items():
        path = sources.write_source(folder / name / "film.dcm", change, seed=seed)
        objects, missing = write_all(path, folder / name / "out", segmentation_of(path))
        assert missing == []
        made[name] = (path, objects)
    return made


@pytest.fixture(scope="module")
def real(real_dicom, tmp_path_factory):
    """The real film of a leg, and the objects of structures on it."""
    path = next(real_dicom.rglob("RG3_UNCR.dcm"))
    return path, write_all(path, tmp_path_factory.mktemp("real"), segmentation_of(path))[0]


@needs_validators
@pytest.mark.parametrize("name", [*FILMS, "real"])
def test_objects_of_structures_are_valid(written, real, name):
    path, objects = real if name == "real" else written[name]
    paths = [each for kind in objects.values() for each in kind]
    assert len(paths) == 4
    assert {each.name: validators.iod_errors(each) for each in paths} == {
        each.name: [] for each in paths
    }
    assert validators.entity_complaints([path, *paths]) == []
    (report,) = objects[Kind.SR]
    # DCMTK 3.6.7 cannot check the letters of UTF-8, and says so.
    known = ["W: The VR checker does not support this Specific Character Set: ISO_IR 192"]
    told = [line for line in validators.report_complaints(report) if line]
    assert told == (known if name == "chinese" else [])


@needs_validators
def test_reports_follow_their_template(tmp_path):
    path = sources.write_source(tmp_path / "film.dcm", sources.cr)
    structures = segmentation_of(path)
    found, *_, not_found = structures.regions
    records = (replace(structures, regions=(found, not_found)), PNEUMONIA)
    made = [
        write_all(path, tmp_path / type(record).__name__, record, kinds=kinds)[0][Kind.SR][0]
        for record, kinds in zip(records, ((Kind.SEG, Kind.SR), (Kind.SR,)), strict=True)
    ]
    assert validators.template_errors(made) == []


@needs_validators
@pytest.mark.parametrize(
    "record",
    [
        PNEUMONIA,
        Classification("f", 0, "Übel=1", 0.5, {"Übel=1": 0.5, "x" * 70: 0.5}),
        AnomalyDetection("f", 3.25, True, False, 3.25),
    ],
    ids=["classes", "odd names", "anomaly"],
)
def test_objects_of_other_tasks_are_valid(tmp_path, real_dicom, record):
    films = {
        name: sources.write_source(tmp_path / name / "film.dcm", FILMS[name][0], seed=number)
        for number, name in enumerate(("cr", "dx_right", "mg"))
    }
    if len(getattr(record, "probabilities", ())) and record.out_of_distribution:
        films["chest"] = next(real_dicom.rglob("RG1_UNCR.dcm"))
    for name, path in films.items():
        objects, missing = write_all(
            path, tmp_path / name, record, kinds=(Kind.SR, Kind.SC, Kind.GSPS)
        )
        paths = [each for kind in objects.values() for each in kind]
        assert (missing, len(paths)) == ([], 3)
        assert [validators.iod_errors(each) for each in paths] == [[]] * 3
        assert validators.report_complaints(objects[Kind.SR][0]) == []
        assert validators.entity_complaints([path, *paths]) == []


@pytest.mark.slow
@needs_validators
def test_a_report_of_an_anomaly_follows_its_template(tmp_path):
    path = sources.write_source(tmp_path / "film.dcm", sources.dx_right)
    record = AnomalyDetection("f", 3.25, True, True, 3.25)
    objects, _ = write_all(path, tmp_path, record, kinds=(Kind.SR,))
    assert validators.template_errors(objects[Kind.SR]) == []


@pytest.mark.parametrize("name", [*FILMS, "real"])
def test_nothing_is_made_up_and_what_is_known_is_kept(written, real, name):
    path, objects = real if name == "real" else written[name]
    source = pydicom.dcmread(path, stop_before_pixels=True)
    for kind, paths in objects.items():
        for each in paths:
            content = each.read_bytes()
            assert content[:128] == bytes(128)
            made = pydicom.dcmread(each)
            for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyTime"):
                assert made[keyword].value == source[keyword].value
            text = str(made)
            for invented in ("Frame of Reference UID", "Image Position", "Image Orientation"):
                assert invented not in text
            if "PixelSpacing" not in source:
                assert "(0028,0030)" not in text
            equipment = made.ContributingEquipmentSequence[0]
            assert MODEL.weights_sha256 in equipment.ContributionDescription
            if kind in {Kind.SEG, Kind.SC}:
                expected = source.get("PatientOrientation", None) or None
                assert (made.PatientOrientation or None) == expected


def test_masks_come_back_to_the_pixel(real):
    path, objects = real
    (segmentation,) = objects[Kind.SEG]
    expected = masks_for(read_radiograph(path).pixels.shape[1:])
    plain = pydicom.dcmread(segmentation)
    labels = [segment.SegmentLabel for segment in plain.SegmentSequence]
    assert labels == list(SEGMENT_NAMES)
    assert plain.SegmentsOverlap == "YES"
    for label, frame in zip(labels, plain.pixel_array, strict=True):
        np.testing.assert_array_equal(frame.astype(bool), expected[label])
    read = highdicom.seg.segread(segmentation)
    source = str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
    pixels = read.get_pixels_by_source_instance([source], combine_segments=False)
    for place, label in enumerate(labels):
        np.testing.assert_array_equal(pixels[0, :, :, place].astype(bool), expected[label])


def test_separate_layers_share_no_pixel_and_lose_none(tmp_path):
    path = sources.write_source(tmp_path / "film.dcm", sources.cr)
    record = segmentation_of(path)
    objects, _ = write_all(
        path, tmp_path, record, kinds=(Kind.SEG, Kind.SR), layers=SegLayers.SEPARATE
    )
    expected = masks_for((60, 50))
    found = {}
    layers = [pydicom.dcmread(each) for each in objects[Kind.SEG]]
    assert [layer.InstanceNumber for layer in layers] == [1, 2]
    assert len({layer.SeriesInstanceUID for layer in layers}) == 1
    for layer in layers:
        assert layer.SegmentsOverlap == "NO"
        frames = layer.pixel_array.reshape(-1, 60, 50)
        assert frames.sum(axis=0).max() == 1
        found |= dict(zip([s.SegmentLabel for s in layer.SegmentSequence], frames, strict=True))
    assert found.keys() == set(SEGMENT_NAMES)
    for label, frame in found.items():
        np.testing.assert_array_equal(frame.astype(bool), expected[label])
    text = str(pydicom.dcmread(objects[Kind.SR][0]).ContentSequence)
    cited = {str(layer.SOPInstanceUID) for layer in layers if str(layer.SOPInstanceUID) in text}
    assert cited == {str(layer.SOPInstanceUID) for layer in layers}


def report_of(objects):
    return highdicom.sr.srread(objects[Kind.SR][0])


def test_a_report_names_measures_and_segments_of_structures(written):
    path, objects = written["dx_right"]
    regions = {region.name: region for region in segmentation_of(path).regions}
    segments = pydicom.dcmread(objects[Kind.SEG][0]).SegmentSequence
    report = report_of(objects)
    groups = report.content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == list(SEGMENT_NAMES)
    for group, segment in zip(groups, segments, strict=True):
        region = regions[group.tracking_identifier]
        assert group.tracking_uid == segment.TrackingUID
        numbers = {(m.name.meaning, m.unit.value): m.value for m in group.get_measurements()}
        assert numbers["Area", "{pixels}"] == region.area_px
        assert numbers["Area", "mm2"] == pytest.approx(region.area_mm2)
        assert numbers["Length", "mm"] == pytest.approx(region.length_mm)
        (site,) = group.finding_sites
        assert site.value.value == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
        assert site.laterality.meaning == "Right"
    assert len(report.content.get_image_measurement_groups()) == 0
    evaluations = report.ContentSequence[-1]
    said = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.get("TextValue")
        or item.ConceptCodeSequence[0].CodeMeaning
        for item in evaluations.ContentSequence
    }
    assert said == {
        "Number of structures found": "3 of 4",
        "Pisiform bone": "Not found by the algorithm",
        "Unlike the training films (out of distribution)": "No",
        "Unlikeness to the training films": "0.5 (limit 3)",
    }


def test_the_side_of_one_film_does_not_stick_to_the_next(written):
    def sides(name):
        codes = [
            segment.SegmentedPropertyTypeCodeSequence[0]
            for segment in pydicom.dcmread(written[name][1][Kind.SEG][0]).SegmentSequence
        ]
        modifiers = [code.get("SegmentedPropertyTypeModifierCodeSequence") for code in codes]
        return {None if each is None else each[0].CodeMeaning for each in modifiers}

    assert sides("cr") == {"Left"}
    assert sides("dx_right") == {"Right"}
    assert sides("dx_with_table") == {None}


@pytest.mark.parametrize("name", ["cr", "dx_right", "mg"])
@pytest.mark.parametrize("is_error", [False, True])
def test_a_capture_shows_the_film_itself_where_nothing_covers_it(tmp_path, name, is_error):
    change, seed = FILMS[name]
    path = sources.write_source(tmp_path / "film.dcm", change, seed=seed)
    record = Classification("f", 1, "PNEUMONIA", 0.9, {"NORMAL": 0.1, "PNEUMONIA": 0.9})
    heat = replace(heat_of(path), is_error=is_error)
    (made,) = ObjectWriter(tmp_path, (Kind.SC,), MODEL).write(path, record, heat=heat)
    capture = pydicom.dcmread(tmp_path / made.file)
    film = np.rint(read_radiograph(path).pixels[0] * 255).astype(np.uint8)
    shown = capture.pixel_array[:60, :50]
    for channel in range(3):
        np.testing.assert_array_equal(shown[:, :25, channel], film[:, :25])
    assert np.abs(shown[:, 45:].astype(int) - film[:, 45:, None]).max() > 20
    (source,) = capture.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == pydicom.dcmread(path).SOPInstanceUID
    assert (capture.ConversionType, capture.ImageType[:2]) == ("WSD", ["DERIVED", "SECONDARY"])


def test_uneven_pixels_stay_uneven(written):
    _, objects = written["dx_uneven"]
    assert pydicom.dcmread(objects[Kind.SC][0]).PixelAspectRatio == [2, 1]
    (area,) = pydicom.dcmread(objects[Kind.GSPS][0]).DisplayedAreaSelectionSequence
    assert area.PresentationPixelAspectRatio == [2, 1]
    groups = report_of(objects).content.get_planar_roi_measurement_groups()
    methods = {m.method.meaning for g in groups for m in g.get_measurements() if m.method}
    assert methods == {"Measured at the detector, magnification not corrected"}


@pytest.mark.parametrize("name", ["cr", "dx_right", "dx_with_table", "mg"])
@pytest.mark.skipif(shutil.which("dcmp2pgm") is None, reason="DCMTK (dcmp2pgm) is not installed")
def test_a_presentation_state_shows_the_grey_of_the_film(written, tmp_path, name):
    path, objects = written[name]
    rendered = tmp_path / "rendered.pgm"
    subprocess.run(["dcmp2pgm", "-p", objects[Kind.GSPS][0], path, rendered], check=True)
    with Image.open(rendered) as picture:
        told = np.asarray(picture) / 255
    assert np.abs(told - read_radiograph(path).pixels[0]).max() < 1.5 / 255


def test_contours_of_a_presentation_state_enclose_the_masks(real):
    path, objects = real
    state = pydicom.dcmread(objects[Kind.GSPS][0])
    expected = masks_for(read_radiograph(path).pixels.shape[1:])
    words, *structures = state.GraphicAnnotationSequence
    assert "3 of 4 found" in words.TextObjectSequence[0].UnformattedTextValue
    assert [each.TextObjectSequence[0].UnformattedTextValue for each in structures] == list(
        SEGMENT_NAMES
    )
    for name, each in zip(SEGMENT_NAMES, structures, strict=True):
        drawn = np.zeros_like(expected[name], dtype=np.uint8)
        for graphic in each.GraphicObjectSequence:
            points = np.array(graphic.GraphicData).reshape(-1, 2)
            assert len(points) == graphic.NumberOfGraphicPoints < 8192
            np.testing.assert_array_equal(points[0], points[-1])
            cv2.fillPoly(drawn, [np.floor(points).astype(np.int32)], 1)
        np.testing.assert_array_equal(drawn.astype(bool), expected[name])


def test_a_long_ragged_outline_fits_into_one_value(tmp_path):
    path = sources.write_source(
        tmp_path / "film.dcm", lambda dataset: _enlarge(dataset, rows=400, columns=400)
    )
    comb = np.zeros((400, 400), dtype=bool)
    comb[2:398, 2:398:2] = True
    comb[200] = True
    record = Segmentation("f", (measure_region("Radius", comb),))
    objects, missing = write_all(path, tmp_path, record, kinds=(Kind.GSPS,))
    assert missing == []
    graphics = pydicom.dcmread(objects[Kind.GSPS][0]).GraphicAnnotationSequence[1]
    assert max(g.NumberOfGraphicPoints for g in graphics.GraphicObjectSequence) < 8192


def _enlarge(dataset, *, rows, columns):
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelData = np.zeros((rows, columns), "<u2").tobytes()


def test_one_frame_of_a_class_of_several_is_a_film(tmp_path):
    path = sources.write_source(tmp_path / "film.dcm", sources.one_frame)
    objects, missing = write_all(path, tmp_path, segmentation_of(path))
    assert objects.keys() == {Kind.SR, Kind.SC, Kind.GSPS}
    assert [(each.kind, each.reason) for each in missing] == [(Kind.SEG, Reason.VOLUME)]
    if not validators.MISSING:
        paths = [each for kind in objects.values() for each in kind]
        assert [validators.iod_errors(each) for each in paths] == [[]] * 3


def test_a_frame_is_named_and_gets_objects_of_its_own(tmp_path):
    path = sources.write_source(tmp_path / "film.dcm", sources.frames)
    folders = [tmp_path / str(frame) for frame in range(2)]
    results = [
        write_all(path, folder, segmentation_of(path, frame), frame=frame)
        for frame, folder in enumerate(folders)
    ]
    for objects, missing in results:
        assert objects.keys() == {Kind.SR, Kind.SC, Kind.GSPS}
        assert [(each.kind, each.reason) for each in missing] == [(Kind.SEG, Reason.VOLUME)]
    second = results[1][0]
    (group, *_) = report_of(second).content.get_image_measurement_groups()
    assert group.source_images[0].referenced_frame_numbers == [2]
    assert pydicom.dcmread(second[Kind.SC][0]).SourceImageSequence[0].ReferencedFrameNumber == 2
    assert not {f.name for f in folders[0].iterdir()} & {f.name for f in folders[1].iterdir()}
    if not validators.MISSING:
        paths = [each for kind in second.values() for each in kind]
        assert [validators.iod_errors(each) for each in paths] == [[]] * 3


def test_colours_have_no_grey_presentation(tmp_path):
    path = sources.write_source(tmp_path / "film.dcm", sources.colour)
    objects, missing = write_all(path, tmp_path, segmentation_of(path))
    assert objects.keys() == {Kind.SEG, Kind.SR, Kind.SC}
    assert [each.reason for each in missing] == [Reason.UNSUPPORTED_PHOTOMETRIC]


def test_where_nothing_was_found_there_is_no_segmentation(tmp_path):
    path = sources.write_source(tmp_path / "film.dcm", sources.cr)
    nothing = Segmentation("f", (measure_region("Radius", np.zeros((60, 50), dtype=bool)),))
    objects, missing = write_all(path, tmp_path, nothing)
    assert objects.keys() == {Kind.SR, Kind.SC, Kind.GSPS}
    assert [(each.kind, each.reason) for each in missing] == [(Kind.SEG, Reason.NOTHING_FOUND)]


def test_a_film_that_is_already_read_needs_no_file(tmp_path):
    from pipelines.results.dicom_source import read_source

    path = sources.write_source(tmp_path / "film.dcm", sources.cr)
    source, pixels = read_source(path), read_radiograph(path).pixels
    record = segmentation_of(path)
    path.unlink()
    writer = ObjectWriter(tmp_path / "out", (Kind.SC,), MODEL)
    (missing,) = writer.write(source, record)
    assert isinstance(missing, MissingObject)
    (made,) = writer.write(source, record, pixels=pixels)
    assert Path(tmp_path / "out" / made.file).is_file()
