"""What several tests need: real films where they are at hand."""

from pathlib import Path

import pytest
from hypothesis import settings

# A law holds however busy the machine is; the same examples on every run.
settings.register_profile("laws", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("laws")

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
