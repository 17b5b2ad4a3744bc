"""Damaged and oversized files cost a refusal, never a crash, a hang or the machine's memory."""

import json
import subprocess
import sys

import numpy as np
import pytest
from corpus import dicom_cases
from corpus.dicom_films import PATIENT_ID, film, save

from pipelines.errors import InputError, Reason
from pipelines.ingest import dicom_decode
from pipelines.ingest.dicom import inspect_dicom, read_dicom
from pipelines.ingest.limits import MAX_SAMPLES

READABLE = [case for case in dicom_cases.cases() if not isinstance(case.expect, Reason)]
GIGABYTE = 10**9
SECONDS = 20

READ_ALL = """
import json, pathlib, sys, time
from pipelines.errors import InputError
from pipelines.ingest.dicom import inspect_dicom, read_dicom
slowest, read = 0.0, 0
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    start = time.perf_counter()
    for function in (inspect_dicom, read_dicom):
        try:
            function(path)
            read += 1
        except InputError:
            pass
    slowest = max(slowest, time.perf_counter() - start)
# Not ru_maxrss: that starts from the memory of the process that forked this one.
status = pathlib.Path("/proc/self/status").read_text()
peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
print(json.dumps({"peak": peak, "slowest": slowest, "read": read}))
"""


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Change some bytes, cut the end off, or take a piece out."""
    changed = bytearray(content)
    kind = random.integers(4)
    if kind == 0:
        return content[: random.integers(len(content))]
    if kind == 1:
        start = int(random.integers(len(content)))
        del changed[start : start + int(random.integers(1, 60))]
        return bytes(changed)
    # Half of the changes go into the header, which is the smaller part.
    end = len(content) if kind == 2 else min(len(content), 1200)
    for _ in range(random.integers(1, 6)):
        changed[random.integers(128, end)] = random.integers(256)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_film_is_read_or_refused(seed, tmp_path):
    random = np.random.default_rng(seed)
    path = tmp_path / "film.dcm"
    refusals = []
    for case in READABLE:
        case.write(path)
        path.write_bytes(damaged(path.read_bytes(), random))
        for function in (inspect_dicom, read_dicom):
            try:
                found = function(path)
            except InputError as error:
                refusals.append(str(error))
            else:
                pixels = getattr(found, "pixels", np.zeros(1, np.float32))
                assert pixels.dtype == np.float32
                assert 0 <= pixels.min() <= pixels.max() <= 1
    assert len(refusals) > len(READABLE) // 4
    told = "\n".join(refusals)
    assert PATIENT_ID not in told
    assert "raises" not in told, "an error that no check foresaw"


def test_no_file_takes_much_memory_or_time(tmp_path):
    for case in dicom_cases.cases():
        case.write(tmp_path / case.filename)
    side = int(MAX_SAMPLES**0.5)
    largest = np.zeros((side, side), np.uint16)
    largest[::2] = 4000
    save(tmp_path / "largest.dcm", film(largest))
    save(tmp_path / "larger.dcm", film(Rows=side + 8, Columns=side + 8))
    found = subprocess.run(
        [sys.executable, "-c", READ_ALL, tmp_path], check=True, capture_output=True, text=True
    )
    told = json.loads(found.stdout)
    assert told["read"] > len(READABLE)
    assert told["peak"] < GIGABYTE
    assert told["slowest"] < SECONDS


def test_a_missing_decoder_is_named(tmp_path, monkeypatch):
    case = next(case for case in READABLE if case.name == "dicom_jpeg_extended_12")
    path = tmp_path / case.filename
    case.write(path)
    monkeypatch.setattr(dicom_decode, "_installed", lambda module: module != "imagecodecs")
    with pytest.raises(InputError, match="pip install imagecodecs") as refusal:
        read_dicom(path)
    assert refusal.value.reason is Reason.DECODER_MISSING
