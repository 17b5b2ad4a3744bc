"""The whole corpus in one folder, read by another process as a batch reads it."""

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from corpus import Case, dicom_cases, raster_cases, volume_cases

from pipelines.errors import Reason
from pipelines.ingest.limits import MAX_SAMPLES

READ_ALL = """
import json, sys
from pathlib import Path
from pipelines.errors import InputError
from pipelines.ingest.collect import collect
from pipelines.ingest.read import read_radiograph

collection = collect(Path(sys.argv[1]))
outcomes = [[refusal.filename, refusal.reason, refusal.message] for refusal in collection.refusals]
for item in collection.items:
    try:
        radiograph = read_radiograph(item.path, frame=item.frame)
        outcomes.append([item.filename, "read", repr(radiograph.provenance)])
    except InputError as refusal:
        outcomes.append([item.filename, refusal.reason, str(refusal)])
[peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
loaded = [name for name in ("torch", "monai", "itk") if name in sys.modules]
result = {"inputs": collection.inputs, "outcomes": outcomes, "peak": peak, "loaded": loaded}
print(json.dumps(result))
"""
READ_ONE = """
import sys
from pathlib import Path
from pipelines.ingest.read import read_radiograph

read_radiograph(sys.argv[1])
[peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
print(peak)
"""
MAX_PEAK_KILOBYTES = 1_000_000
MAX_SECONDS = 60
MAX_SECONDS_A_FILE = 20


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    """All cases by the path of their file in the corpus folder, without the frame."""
    return {
        f"{folder}/{case.filename}": case
        for folder, module in (
            ("dicom", dicom_cases),
            ("raster", raster_cases),
            ("volume", volume_cases),
        )
        for case in module.cases()
    }


@pytest.fixture(scope="module")
def result(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> dict:
    root = tmp_path_factory.mktemp("corpus")
    # What writes broken files warns of what it does.
    with warnings.catch_warnings(action="ignore"):
        for filename, case in cases.items():
            (root / filename).parent.mkdir(exist_ok=True)
            case.write(root / filename)
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(root)],
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # The C library says so of a chunk whose length lies, and nobody can stop it.
    said = [line for line in done.stderr.splitlines() if not line.startswith("libpng warning")]
    assert not said, said[:20]
    files = sum(path.is_file() for path in root.rglob("*"))
    return json.loads(done.stdout) | {"root": str(root), "files": files}


def test_each_case_has_its_outcome(cases: dict[str, Case], result: dict):
    outcomes = {
        filename.partition("#")[0]: (outcome, message)
        for filename, outcome, message in result["outcomes"]
    }
    wrong = {}
    for filename, case in cases.items():
        expected = case.expect.value if isinstance(case.expect, Reason) else "read"
        if outcomes[filename][0] != expected:
            wrong[filename] = (expected, *outcomes[filename])
    assert not wrong


def test_every_file_is_accounted_for_once(result: dict):
    filenames = [filename for filename, *_ in result["outcomes"]]
    assert len(set(filenames)) == len(filenames) == result["inputs"]
    assert len({filename.partition("#")[0] for filename in filenames}) == result["files"]


def test_messages_name_no_path(result: dict):
    assert not [message for *_, message in result["outcomes"] if result["root"] in message]


def test_memory_and_imports(result: dict):
    assert int(result["peak"].split()[1]) < MAX_PEAK_KILOBYTES
    assert result["loaded"] == []


def _largest() -> Iterator[tuple[str, bytes]]:
    """Files with as many samples as are let through, in the forms that take most memory."""
    side = math.isqrt(MAX_SAMPLES)
    rows = np.arange(side * side, dtype=np.uint16).reshape(side, side)
    yield "grey_16", cv2.imencode(".png", rows)[1].tobytes()
    side = math.isqrt(MAX_SAMPLES // 3)
    colour = rows.ravel()[: side * side * 3].reshape(side, side, 3)
    yield "colour_48", cv2.imencode(".png", colour)[1].tobytes()
    yield "colour", cv2.imencode(".jpg", colour.astype(np.uint8))[1].tobytes()
    yield "float_32", volume_cases.nifti(rows.astype(np.float32))
    yield "rescaled", volume_cases.nifti(rows.astype(np.int32))


@pytest.mark.slow
def test_largest_images_stay_within_memory_and_time(tmp_path: Path):
    for name, content in _largest():
        path = tmp_path / name
        path.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONE, str(path)],
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS_A_FILE,
            check=True,
        )
        assert int(done.stdout.split()[1]) < MAX_PEAK_KILOBYTES, name
        path.unlink()
