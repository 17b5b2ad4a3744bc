"""What starts the processes of a run and speaks for them, with small programs in their place."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.errors import DatasetError, Reason, RunError
from pipelines.refusal_text import KeptRefusal
from pipelines.workflows import devices
from pipelines.workflows.bundle import find_bundle
from pipelines.workflows.machines import Machines

REFUSE = """
from pipelines.datasets.films import LayoutError
from pipelines.refusal_text import keep_refusal
keep_refusal(LayoutError("expected films", remedy="bring some"))
raise SystemExit(2)
"""
LOSE = """
from pipelines.errors import Reason, RunError
from pipelines.refusal_text import keep_refusal
keep_refusal(RunError(Reason.PROCESS_LOST, "expected all to go on"))
raise SystemExit(1)
"""
SLEEP = "import time; time.sleep(60)"
KILL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
TELL = """
import json, os
names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "OMP_NUM_THREADS", "MASTER_ADDR")
print("heard", json.dumps({name: os.environ[name] for name in names}), flush=True)
"""
HEED = """
import pathlib, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: sys.exit(128 + number))
pathlib.Path(f"ready-{os.environ['RANK']}").touch()
time.sleep(60)
"""

CHECKOUT = Path(__file__).resolve().parents[1]

# torchrun leaves the files open that hold what unheard processes say.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Runs a program in each of two processes in place of a training."""

    def run(*programs, flags=()):
        each = [*programs, programs[-1]][:2]
        lines = [
            f"import os, sys; os.chdir({str(tmp_path)!r}); sys.path.insert(0, {str(CHECKOUT)!r})",
            f"exec({each!r}[int(os.environ['RANK'])])",
        ]
        code = "\n".join(lines)
        monkeypatch.setattr(devices, "_command", lambda *_: ["-c", code])
        bundle = find_bundle("pneumonia_classification")
        devices.train_on_devices(
            bundle, Machines(2), data=tmp_path, overrides={"device": "cpu"}, flags=flags
        )

    return run


def test_each_process_knows_its_place_and_the_first_is_heard(start, capfd, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    environment = dict(os.environ)
    start(TELL)
    said, wrong = capfd.readouterr()
    assert said.count("heard") == 1
    assert '"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"' in said
    assert '"MASTER_ADDR": "localhost"' in said
    assert f'"OMP_NUM_THREADS": "{max(1, len(os.sched_getaffinity(0)) // 2)}"' in said
    assert wrong == ""
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert dict(os.environ) == environment


def test_what_a_process_refuses_is_said_by_the_one_that_started_it(start, capfd):
    with pytest.raises(DatasetError, match="expected films") as refusal:
        start(SLEEP, REFUSE)
    assert refusal.value.reason is Reason.DATASET_LAYOUT
    assert "process" not in str(refusal.value), "the films of one process are those of all"
    assert capfd.readouterr().err == ""


def test_a_process_that_is_killed_is_named_and_not_what_followed(start):
    with pytest.raises(RunError, match=r"process 1 was ended by SIGKILL: .*memory") as refusal:
        start(f"import time; time.sleep(0.2){LOSE}", KILL)
    assert refusal.value.reason is Reason.PROCESS_LOST


@pytest.fixture
def heeding():
    """Ctrl-C as a terminal has it; what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "ended"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_signals_reach_every_process(start, tmp_path, heeding, number, ended):
    def tell():
        while len([*tmp_path.glob("ready-*")]) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=tell, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(ended) as end:
        start(HEED)
    assert time.monotonic() - started < 30, "they were not waited for in vain"
    if ended is SystemExit:
        assert end.value.code == 143


def test_what_nohup_ignores_stays_ignored(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", {signal.SIGHUP: signal.SIG_IGN}.get)
    assert devices._heeded() == ["SIGTERM", "SIGINT", "SIGQUIT"]


def refused(rank, reason, at):
    return KeptRefusal(rank, "RunError", reason, "expected more", at)


@pytest.mark.parametrize(
    ("statuses", "refusals", "kind", "said"),
    [
        ({1: 1, 0: 1}, [refused(1, "not_finite", 1), refused(0, "not_finite", 2)], RunError, "1"),
        (
            {0: 1, 1: -9},
            [refused(0, "process_lost", 1)],
            RunError,
            "process 1 was ended by SIGKILL",
        ),
        ({0: 1}, [refused(0, "process_lost", 1)], RunError, "expected more"),
        ({1: -7}, [], RunError, "SIGBUS: the memory for shared films"),
        ({0: 143, 1: 143}, [], SystemExit, "143"),
        ({0: -15}, [], SystemExit, "143"),
        ({1: 130}, [], KeyboardInterrupt, ""),
        ({1: 5}, [], RunError, "process 1 ended with status 5 and said nothing"),
    ],
)
def test_the_reason_is_what_failed_by_itself(statuses, refusals, kind, said):
    reason = devices._reason_of(statuses, refusals, Machines(2))
    assert isinstance(reason, kind)
    assert said in str(reason)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--devices", "0"], "--devices of at least 1, got 0"),
        (["--devices", "2", "--set", "device=cuda:7"], "device of this machine, got 'cuda:7'"),
        (["--devices", "2", "--overlay", "resnet5"], "did you mean 'resnet50'"),
    ],
)
def test_wrong_use_is_refused_before_anything_starts(given, said, capsys, tmp_path):
    status = main(["train", "pneumonia_classification", "--data", str(tmp_path), *given])
    assert status == 2
    assert said in capsys.readouterr().err


def test_the_command_of_a_process_is_that_of_its_user_with_the_overlay():
    bundle = find_bundle("pneumonia_classification")
    command = devices._command(bundle, Path("films"), Path("run"), ["multi_gpu", "resnet50"])
    assert command[:4] == ["-m", "pipelines", "train", str(bundle.root)]
    assert command[4:] == [
        *("--data", "films", "--output", "run"),
        *("--overlay", "multi_gpu", "--overlay", "resnet50"),
    ]
