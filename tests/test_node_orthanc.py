"""The whole way with a real archive: it forwards real films, and gets their results back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from bundle_fixture import one_torch_thread, write_tiny_bundle
from node_fixture import LISTEN, NO_FACE, ROOM, free_port, send, wait_until
from orthanc_fixture import loopback_alone, orthanc, why_no_orthanc

from pipelines.deploy.node.service import Node
from pipelines.deploy.node.settings import (
    DeliverySettings,
    NodeSettings,
    Rule,
    StoreDestination,
    StowDestination,
)
from pipelines.deploy.node.states import DeliveryState, FilmState

FILMS = ("RG1_UNCR.dcm", "RG1_J2KR.dcm", "RG3_UNCR.dcm")
LEGS = Path(__file__).resolve().parents[1] / "bundles" / "hand_bone_segmentation"

pytestmark = [
    pytest.mark.skipif(why_no_orthanc() is not None, reason=str(why_no_orthanc())),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    # Orthanc gives QIDO answers beyond what is asked for, which the client warns of.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def test_films_go_to_plainfilm_and_results_come_back(tmp_path, real_dicom):
    films = [next(real_dicom.rglob(name)) for name in FILMS]
    tiny = write_tiny_bundle(tmp_path / "tiny")
    with loopback_alone(), one_torch_thread():
        node_port = free_port()
        (tmp_path / "archive").mkdir()
        with orthanc(tmp_path / "archive", node_port=node_port) as archive:
            node = Node(settings_for(tmp_path, tiny.root, archive, node_port))
            try:
                assert send(archive.dicom_port, films, ae_title="ORTHANC") == [0, 0, 0]
                wait_until(lambda: node.films.counts()[FilmState.DONE] == 3, 300)
                check(node, archive, films)
            finally:
                node.stop()


def settings_for(folder, tiny, archive, node_port) -> NodeSettings:
    """Chests come back by C-STORE, legs by STOW-RS."""
    return NodeSettings(
        folder / "data",
        (
            Rule(
                "chest",
                str(tiny),
                body_part=("CHEST",),
                dicom=("sr", "sc", "gsps"),
                destinations=("pacs",),
            ),
            Rule(
                "legs",
                str(LEGS),
                modality=("CR",),
                dicom=("sr", "seg"),
                destinations=("web",),
                overrides={"postprocessing::save": []},
            ),
        ),
        {
            "pacs": StoreDestination("pacs", "ORTHANC", "127.0.0.1", archive.dicom_port),
            "web": StowDestination("web", f"{archive.url}/dicom-web"),
        },
        dicom=replace(LISTEN, port=node_port),
        http=NO_FACE,
        limits=ROOM,
        delivery=DeliverySettings(first_wait_seconds=0.2, longest_wait_seconds=2),
    )


def check(node: Node, archive, films) -> None:
    """Every result is in the archive, under the study of its film, as plainfilm wrote it."""
    written = [
        pydicom.dcmread(path) for path in (node.settings.data_dir / "results").rglob("*.dcm")
    ]
    assert node.outbox.counts(DeliveryState.FAILED) == {}
    assert archive.instances() == len(films) + len(written), "nothing went round and round"
    assert sum(node.films.counts().values()) == len(films)
    found = {}
    for study in {str(pydicom.dcmread(film).StudyInstanceUID) for film in films}:
        for row in archive.web.search_for_instances(study_instance_uid=study):
            found[row["00080018"]["Value"][0]] = (study, row["00080060"]["Value"][0])
    for ours in written:
        study, modality = found[ours.SOPInstanceUID]
        assert (study, modality) == (ours.StudyInstanceUID, ours.Modality)
        theirs = archive.web.retrieve_instance(
            study, str(ours.SeriesInstanceUID), str(ours.SOPInstanceUID)
        )
        if "PixelData" in ours:
            assert np.array_equal(theirs.pixel_array, ours.pixel_array)
        assert theirs == ours, "element for element"
    assert {ours.SOPClassUID.keyword for ours in written} == {
        "Comprehensive3DSRStorage",
        "SegmentationStorage",
        "SecondaryCaptureImageStorage",
        "GrayscaleSoftcopyPresentationStateStorage",
    }
    assert len(written) >= 8
