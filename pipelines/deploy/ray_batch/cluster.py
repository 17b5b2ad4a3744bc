"""The Ray cluster that predicts: one that is there, or one started on this machine for this run.

Ray is told to be quiet: nothing is sent to anybody, no page is served, and what it has to say of
processes that die is said by plainfilm, of films.
"""

import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipelines
from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.networks.device import usable_cores
from pipelines.unfinished import held_folder

INSTALL = "pip install 'plainfilm[ray]'"

_REACHED_SECONDS = 5.0
_STORE_BYTES = 256 * 2**20
"""Room for what is on its way between processes of one machine; more goes to the disk."""
_MOST_CORES = 8
"""Of one worker: readers gain nothing from more, and a worker that dies takes few films with it."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1"})
_TOKEN = secrets.token_hex(32)


def require_ray() -> None:
    """Refuse to go on where Ray is not installed.

    Raises:
        ConfigurationError: With the command that installs it.
    """
    if importlib.util.find_spec("ray") is None:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the package ray for --executor ray, got none; install it: {INSTALL}",
        )


@dataclass(frozen=True, slots=True)
class Workers:
    """How a cluster is shared out.

    Attributes:
        count: How many workers fit.
        cores: Of each.
        gpus: Of each, 0 or 1.
    """

    count: int
    cores: int
    gpus: int


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Be connected to a cluster while the block runs.

    Args:
        address: `HOST:PORT` of one that is there, or `auto`; None starts one on this machine, which
            ends with the block.

    Raises:
        ConfigurationError: If there is no such cluster, or this machine is none of its nodes.
        RunError: If none can be started here.

    Yields:
        Nothing.
    """
    with _environment(_variables(alone=address is None)):
        import ray

        quiet = {
            "logging_level": logging.CRITICAL,
            "log_to_driver": False,
            "configure_logging": False,
        }
        with ExitStack() as stack:
            # Entered first, so it goes after Ray's processes, which would make it anew.
            folder = stack.enter_context(_folder()) if address is None else None
            stack.callback(ray.shutdown)
            with _no_words(), _own_end():
                if folder is not None:
                    _start(folder, quiet)
                else:
                    _join(str(address), quiet)
            _hush()
            yield


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder for Ray's files, with a short path, since sockets stand in it.

    Raises:
        RunError: OUTPUT_UNWRITABLE if it cannot be made.
    """
    parent = Path("/tmp") if os.name == "posix" else Path(tempfile.gettempdir())
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(held_folder(parent, "plainfilm-ray-"))
        except OSError as error:
            raise RunError(
                Reason.OUTPUT_UNWRITABLE,
                f"expected a place for Ray's files in {parent}, got none that can be written "
                f"({error.strerror}); make it writable, or use --executor local",
            ) from error
        yield folder
        # A process of Ray that is about to end may put another file there.
        shutil.rmtree(folder, ignore_errors=True)


def _variables(*, alone: bool) -> Mapping[str, str]:
    """What Ray reads when it is imported and when its processes start."""
    root = str(Path(pipelines.__file__).resolve().parents[1])
    path = os.environ.get("PYTHONPATH")
    variables = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
        "RAY_gcs_server_request_timeout_seconds": "10",
        "RAY_gcs_server_port_wait_time_s": "1",
    }
    if alone:
        # Workers run the code that this process runs, and nobody else on the machine may use them.
        variables["PYTHONPATH"] = root if path is None else f"{root}{os.pathsep}{path}"
        variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN}
    return variables


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _no_words() -> Iterator[None]:
    """Let the block write nothing to standard error, where Ray's C++ core says how it logs."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, and its handle is wanted
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _own_end() -> Iterator[None]:
    """Let SIGTERM do after the block what it did before; Ray takes it, in Python and in C++."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _start(folder: Path, quiet: Mapping[str, Any]) -> None:
    """Start a cluster of this machine alone, which nobody else can talk to.

    Raises:
        RunError: If it does not start.
    """
    import ray

    try:
        ray.init(
            address="local",  # whatever RAY_ADDRESS says
            num_cpus=usable_cores(),
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(folder),
            **quiet,
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise RunError(
            Reason.WORKER_DIED,
            f"expected Ray to start on this machine, got {type(error).__name__}; "
            "see that /tmp and /dev/shm have room, or use --executor local",
        ) from error


def _join(address: str, quiet: Mapping[str, Any]) -> None:
    """Join a cluster.

    Raises:
        ConfigurationError: If it cannot be reached, or has no node here.
    """
    import ray

    try:
        ray.init(address=address, **quiet)
    except (RuntimeError, OSError, ValueError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a Ray cluster at {address!r} with a node on this machine, got "
            f"{type(error).__name__}; run `ray start --address=HOST:PORT` here first, with the "
            "same Ray, Python and RAY_AUTH_TOKEN as on its head",
        ) from error


def require_reachable(address: str | None) -> None:
    """Look whether somebody listens, since Ray would try for a minute and more.

    Args:
        address: As of `cluster`.

    Raises:
        ConfigurationError: If not, or the address is of another form.
    """
    if address in {None, "auto"}:
        return
    host, colon, port = str(address).rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected --address HOST:PORT of a Ray cluster's head, or auto, got {address!r}; "
            "the port is 6379 unless its head was started with another",
        )
    if host in _LOOPBACK:
        import ray

        host = ray.util.get_node_ip_address()  # Ray would go there too
    try:
        socket.create_connection((host, int(port)), _REACHED_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a Ray cluster at {address!r}, got {type(error).__name__} within "
            f"{_REACHED_SECONDS:g} s; start one there with `ray start --head`, or leave --address "
            "away to start one on this machine",
        ) from error


def _hush() -> None:
    """Let Ray say nothing on this process's standard output and error."""
    import ray.data

    from pipelines.deploy.ray_batch.breath import Breath

    for name in ("ray", "ray.data", "ray.serve"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # What raylets report of dead workers is printed, whatever the level of the logs.
    ray._private.worker._worker_logs_enabled = False
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # who is missing is seen by who was asked for
    context.custom_execution_callback_classes = [Breath]


def workers(*, on_gpu: bool) -> Workers:
    """Share the nodes of the cluster out.

    Args:
        on_gpu: Whether each worker has a GPU to itself.

    Returns:
        Workers of one size, that of the smallest node, at most eight cores.

    Raises:
        ConfigurationError: If there is no node with what is needed.
    """
    import ray

    nodes = [each["Resources"] for each in ray.nodes() if each["Alive"]]
    gpus = [int(each.get("GPU", 0)) if on_gpu else 0 for each in nodes]
    cores = [int(each.get("CPU", 0)) for each in nodes]
    rooms = [(c, g) for c, g in zip(cores, gpus, strict=True) if c and (g or not on_gpu)]
    if not rooms:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected a node with a free {'GPU' if on_gpu else 'core'} in the Ray cluster, got "
            "none; start nodes with `ray start --address=HOST:PORT`",
        )
    if on_gpu:
        size = min(_MOST_CORES, *(max(1, c // g) for c, g in rooms))
        return Workers(sum(min(g, c // size) for c, g in rooms), size, 1)
    size = min(_MOST_CORES, *(c for c, _ in rooms))
    return Workers(sum(c // size for c, _ in rooms), size, 0)
