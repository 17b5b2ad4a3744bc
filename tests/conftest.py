"""What several tests need: real films where they are at hand."""

import os
import sys
from pathlib import Path

import pytest
from absl import logging as absl_logging
from hypothesis import settings

# A law holds however busy the machine is; the same examples on every run.
settings.register_profile("laws", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("laws")

# Before PyTorch is imported: workers are as many as cores, and threads of one would wait, in a busy
# loop, for cores that the others use.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# TensorBoard brings a log handler that keeps the stderr of its import, here the file that pytest
# captures in, and closes it when a bundle's logging.conf is read while stderr is another one.
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public images beside a developer's checkout."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/data with public images beside this checkout")
    return folder


@pytest.fixture(scope="session")
def real_dicom() -> Path:
    """The folder of real CR films that the package pydicom-data carries."""
    import data_store

    return Path(data_store.__file__).parent
