"""What several tests need: real films where they are at hand."""

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from absl import logging as absl_logging
from hypothesis import settings

from pipelines.collector import collector_paused

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


# The long files, longest first; a test of a long file that began last would leave others waiting.
LONG = (
    *("test_systems", "test_stopping", "test_train", "test_cross_validate", "test_node_kill"),
    *("test_lazy_packages", "test_compare", "test_dicom_objects", "test_sagemaker", "test_predict"),
    *("test_node_service", "test_web_browser", "test_skin_lesion_classification", "test_trainer"),
    *("test_refusal_text", "test_export", "test_bundles", "test_packages", "test_refine"),
    *("test_node_orthanc", "test_anomaly_outcome", "test_batch", "test_merge", "test_plots"),
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Pause the garbage collector, and let it look at what tests make and at nothing older.

    What is imported is never garbage, and to look through it takes a second each time.
    """
    with collector_paused():
        answer = yield
    gc.freeze()
    return answer


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first and doctests last; no fixture is made more often by that."""
    place = {name: number for number, name in enumerate(LONG)}
    tests = Path(__file__).parent

    def turn(item: pytest.Item) -> tuple[int, bool]:
        return place.get(item.path.stem, len(LONG)), tests not in item.path.parents

    items.sort(key=turn)


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
