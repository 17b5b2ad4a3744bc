import os
import subprocess
import sys

import pytest

MEASURE = """
import resource, sys
import numpy as np
from pipelines.training.memory import keep_memory

kept = sys.argv[1] == "keep" and keep_memory()

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        np.empty(50_000_000, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

page_faults()
print(int(kept), page_faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked")
def test_freed_memory_is_used_again_without_asking_the_system():
    faults = {}
    for way in ("keep", "plain"):
        said = subprocess.run(
            [sys.executable, "-c", MEASURE, way],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"},
        ).stdout.split()
        faults[way] = [int(number) for number in said]
    assert faults["plain"][0] == 0
    if not faults["keep"][0]:
        pytest.skip("a C library without mallopt")
    assert faults["keep"][1] < faults["plain"][1] / 4
