"""Raster images: values kept exactly, everything else turned into a reason."""

from pathlib import Path

import pytest
from corpus import Case
from corpus.raster_cases import cases

from pipelines.errors import InputError, Reason
from pipelines.ingest.raster import read_raster

# The module turns Pillow's warnings of broken metadata off for the process; pytest turns all on.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path):
    path = tmp_path / case.filename
    case.write(path)
    if isinstance(case.expect, Reason):
        with pytest.raises(InputError) as refusal:
            read_raster(path)
        assert refusal.value.reason is case.expect, str(refusal.value)
        assert str(tmp_path) not in str(refusal.value)
    else:
        case.check(read_raster(path))
