"""Folders of films as they come, for the benchmarks that look for leaks and crashes.

The awkward files of `tests/corpus` are in them: every transfer syntax, every mode of a PNG and a
JPEG, files that are cut, damaged, hostile, or no films at all. Beside them stand generated chest
films in each form that films come in, and real ones of `pydicom-data`.
"""

import itertools
import shutil
import sys
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID

TESTS = Path(__file__).resolve().parents[1] / "tests"
LARGEST_BYTES = 500_000
REAL = ("RG1_J2KI", "RG1_UNCI", "RG3_J2KR", "RG3_UNCI", "SC_rgb", "SC_rgb_16bit", "OBXXXX1A_rle")

Film = npt.NDArray[np.float32]


def write_corpus(folder: Path, kinds: Sequence[str], *, largest: int = LARGEST_BYTES) -> list[Path]:
    """Write the awkward files of the tests.

    Args:
        folder: Where to put them.
        kinds: Of `dicom`, `raster` and `volume`.
        largest: Bytes; larger files are left out, since reading those costs more than it shows.

    Returns:
        The files, in the order of the corpus.
    """
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    from corpus import dicom_cases, dicom_films, raster_cases, volume_cases

    numbers = itertools.count(1)
    # The same files each time: a try that fails is made again from its number.
    same = mock.patch.object(
        dicom_films, "generate_uid", side_effect=lambda: UID(f"2.25.{next(numbers)}")
    )
    modules = {"dicom": dicom_cases, "raster": raster_cases, "volume": volume_cases}
    written = []
    with (
        same,
        warnings.catch_warnings(action="ignore"),
    ):  # what writes broken files warns of what it does
        for kind in kinds:
            for case in modules[kind].cases():
                path = folder / f"{kind}_{case.filename}"
                case.write(path)
                if path.is_file() and path.stat().st_size > largest:
                    path.unlink()
                else:
                    written.append(path)
    return written


def write_films(folder: Path, count: int) -> None:
    """Write generated chest films, each one in every form: native, packed, PNG, JPEG, cut off."""
    import cv2

    from pipelines.datasets.phantoms.chest import chest_film

    for number in range(count):
        film = chest_film(np.random.default_rng(number), opacity=bool(number % 2))
        deep = np.rint(film * 65_535).astype(np.uint16)
        shallow = (deep >> 8).astype(np.uint8)
        cv2.imwrite(str(folder / f"film_{number}_8.png"), shallow)
        cv2.imwrite(str(folder / f"film_{number}_16.png"), deep)
        cv2.imwrite(str(folder / f"film_{number}.jpg"), shallow)
        _write_dicom(folder, film, number)
        native = (folder / f"film_{number}_native.dcm").read_bytes()
        (folder / f"film_{number}_cut_off.dcm").write_bytes(native[: len(native) // 2])


def _write_dicom(folder: Path, film: Film, number: int) -> None:
    import imagecodecs
    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

    from pipelines.datasets.phantoms.dx_file import FilmHeader, generated_uid, write_dx

    native = folder / f"film_{number}_native.dcm"
    patient = f"SAMPLE-{number:04d}"
    header = FilmHeader(
        str(number), patient, 1, inverted=number % 3 == 0, sex="F", age_years=30 + number
    )
    write_dx(native, film, header=header)
    forms = {
        "jpeg_2000": (JPEG2000Lossless, lambda s: imagecodecs.jpeg2k_encode(s, level=0)),
        "jpeg_ls": (JPEGLSLossless, imagecodecs.jpegls_encode),
        "jpeg_lossless": (JPEGLosslessSV1, imagecodecs.ljpeg_encode),
        "rle": (RLELossless, None),
    }
    for name, (syntax, encode) in forms.items():
        dataset = dcmread(native)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generated_uid(
            f"{number}/{name}"
        )
        if encode is None:
            dataset.compress(syntax, generate_instance_uid=False)
        else:
            dataset.PixelData = encapsulate([bytes(encode(dataset.pixel_array))])
            dataset["PixelData"].is_undefined_length = True
            dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(folder / f"film_{number}_{name}.dcm", enforce_file_format=True)


def copy_real(folder: Path) -> None:
    """Put real radiographs and captures of `pydicom-data` there."""
    spec = find_spec("data_store")
    if spec is None or spec.origin is None:
        sys.exit("expected the package pydicom-data with real films; run make demo")
    data = Path(spec.origin).parent / "data"
    for name in REAL:
        shutil.copy(data / f"{name}.dcm", folder / f"real_{name}.dcm")
