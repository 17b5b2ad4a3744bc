"""The one line that every failure ends with, in our commands and in MONAI's."""

import errno
import json
import subprocess
import sys

import pytest

from pipelines.errors import ConfigurationError, InputError, Reason, RunError
from pipelines.refusal_text import end_bundle_runs_plainly, refusal_text, root_cause


def wrapped(error: BaseException) -> BaseException:
    outer = RuntimeError("Failed to instantiate component")
    outer.__cause__ = error
    return outer


def test_the_cause_is_ours_wherever_it_is_in_the_chain():
    refusal = RunError(Reason.WEIGHTS_MISSING, "no weights")
    refusal.__cause__ = OSError(2, "No such file or directory")
    assert root_cause(wrapped(wrapped(refusal))) is refusal
    first = TypeError("f() got an unexpected keyword argument 'x'")
    assert root_cause(wrapped(wrapped(first))) is first


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "output_unwritable"),
        (OSError(errno.EROFS, "Read-only file system"), "output_unwritable"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "missing"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "out_of_memory"),
    ],
)
def test_what_the_machine_lacks_is_said_with_what_to_do(error, said):
    text = refusal_text(root_cause(wrapped(error)))
    assert text.startswith(f"error ({said}): expected")
    assert "then give the same command again" in text


@pytest.mark.parametrize("kind", [ConfigurationError, InputError, RunError])
def test_a_refusal_has_its_code(kind):
    assert refusal_text(kind(Reason.TOO_LARGE, "big")) == "error (too_large): big"


def test_foreign_errors_quote_nothing_unless_the_traceback_did():
    error = KeyError("Doe^Jane\nsecond line")
    assert refusal_text(error) == "error (internal): KeyError; --debug shows all"
    assert "Doe^Jane" in refusal_text(error, traced=True)
    full = OSError(28, "No space left on device", "/secret/Doe^Jane")
    said = refusal_text(full, traced=True)
    assert said == "error (internal): No space left on device; the traceback shows all"


def test_other_programs_keep_their_hook():
    before = sys.excepthook
    end_bundle_runs_plainly()
    assert sys.excepthook is before


def test_a_bundle_run_ends_with_the_cause(tmp_path):
    configs = tmp_path / "made_up" / "configs"
    configs.mkdir(parents=True)
    (configs / "metadata.json").write_text("{}")
    config = {
        "bundle_root": {"_target_": "pipelines.workflows.bundle.bundle_root", "name": "made_up"},
        "data": {
            "_target_": "pipelines.datasets.opened.OpenedDataset",
            "dataset_dir": "nowhere",
            "classes": ["A", "B"],
        },
        "run": ["$@data.datalist"],
    }
    (configs / "train.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", "configs/train.json"]
    said = subprocess.run(command, cwd=configs.parent, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "Traceback" in said.stderr
    last = "plainfilm: error (dataset_layout): expected the folder of a data set"
    assert said.stderr.splitlines()[-1].startswith(last), said.stderr[-400:]
