"""NIfTI, MetaImage and NRRD, written by nibabel and ITK, read back."""

from pathlib import Path

import pytest
from corpus import Case
from corpus.volume_cases import cases

from pipelines.errors import InputError, Reason
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
