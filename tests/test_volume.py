"""NIfTI, MetaImage and NRRD, written by nibabel and ITK, read back."""

from pathlib import Path

import pytest
from corpus import Case
from corpus.volume_cases import SHORTS, cases, nifti

from pipelines.errors import InputError, Reason
from pipelines.ingest.sniff import FileFormat
from pipelines.ingest.volume import read_volume


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path):
    path = tmp_path / case.filename
    case.write(path)
    if isinstance(case.expect, Reason):
        with pytest.raises(InputError) as refusal:
            read_volume(path)
        assert refusal.value.reason is case.expect, str(refusal.value)
        assert str(tmp_path) not in str(refusal.value)
    else:
        case.check(read_volume(path))


def test_provenance_says_what_was_done(tmp_path: Path):
    path = tmp_path / "film"
    path.write_bytes(nifti(SHORTS))
    provenance = read_volume(path).provenance
    assert provenance.format == FileFormat.NIFTI
    assert (provenance.bits, provenance.voi) == (16, "percentile")
    assert provenance.flags == ("voi_guessed",)
    assert read_volume(path).pixels.flags.c_contiguous


def test_data_file_that_leads_out_is_not_opened(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(2000))
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "data.raw").symlink_to(secret)
    header = folder / "film.mhd"
    header.write_text(
        "NDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\nElementDataFile = data.raw\n"
    )
    with pytest.raises(InputError) as refusal:
        read_volume(header)
    assert refusal.value.reason is Reason.FILE_UNREADABLE


def test_rasters_are_for_another_reader(tmp_path: Path):
    (tmp_path / "film.nii").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError) as refusal:
        read_volume(tmp_path / "film.nii")
    assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT
