"""DCMTK renders the films of the corpus and the real ones as we do, where it can."""

import shutil
import subprocess

import numpy as np
import pytest
from corpus import dicom_cases
from PIL import Image

from pipelines.errors import Reason
from pipelines.ingest.dicom import read_dicom

DCMJ2PNM = shutil.which("dcmj2pnm")
pytestmark = pytest.mark.skipif(DCMJ2PNM is None, reason="DCMTK (dcmj2pnm) is not installed")

# DCMTK has no JPEG 2000 nor, in this program, JPEG-LS; it knows no LINEAR_EXACT; it guesses no
# syntax; it lets PresentationLUTShape IDENTITY overrule MONOCHROME1; and it wraps what lossy
# compression overshoots. Without a window it has another rule than ours. Colour is
# compared with pydicom elsewhere.
BEYOND_DCMTK = (
    "jpeg_2000",
    "jpeg_ls",
    "htj2k",
    "three_frames_",
    "fragments_of_one_frame",
    "no_closing_delimiter",
    "window_exact",
    "_named_",
    "no_syntax_implicit",
    "monochrome1_identity",
    "overshoots",
    "no_window",
    "window_missing",
    "window_empty",
    "window_width_0",
    "window_width_half",
    "window_width_negative",
    "window_text",
    "window_nan",
    "rgb",
    "ybr",
    "palette",
)
CASES = [
    case
    for case in dicom_cases.cases()
    if not isinstance(case.expect, Reason) and not any(part in case.name for part in BEYOND_DCMTK)
]
TOLERANCE = 1.5 / 255


def rendered(path, folder, voi):
    """What DCMTK makes of a file with its first window or look-up table, 0 to 1."""
    target = folder / "rendered.pgm"
    choice = "+Wl" if voi == "lut" else "+Wi"
    subprocess.run([DCMJ2PNM, "-O", "+op", choice, "1", path, target], check=True)
    with Image.open(target) as image:
        return np.asarray(image) / 255


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_grey_film_of_the_corpus(case, tmp_path):
    path = tmp_path / case.filename
    case.write(path)
    radiograph = read_dicom(path)
    told = rendered(path, tmp_path, radiograph.provenance.voi)
    assert np.abs(radiograph.pixels[0] - told).max() < TOLERANCE


@pytest.mark.parametrize("name", ["RG1_UNCR", "RG1_UNCI", "RG3_UNCR", "RG3_UNCI"])
def test_real_film(real_dicom, tmp_path, name):
    path = next(real_dicom.rglob(f"{name}.dcm"))
    told = rendered(path, tmp_path, "window")
    assert np.abs(read_dicom(path).pixels[0] - told).max() < TOLERANCE


@pytest.mark.parametrize("kind", ["REF/RG2_UNC", "JPLL/RG2_JPLL", "JPLY/RG2_JPLY", "RLE/RG2_RLE"])
def test_real_film_in_other_syntaxes(shared_data, tmp_path, kind):
    path = shared_data / "dicom" / "WG04" / kind
    told = rendered(path, tmp_path, "window")
    assert np.abs(read_dicom(path).pixels[0] - told).max() < TOLERANCE
