"""A Ray cluster of several nodes on this machine, and films that end what reads them."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

CHECKOUT = Path(__file__).resolve().parents[1]
POISON, SLOW = "ends its reader", "takes a while"
"""In the name of a film that ends every worker of Ray that opens it, as a fault in a decoder would,
and of one that is read slowly enough for a test to step in."""

_NODE = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
_HOOK = f"""
import os, sys, time

def _watch(event, arguments):
    if event == "open":
        name = str(arguments[0])
        if {POISON!r} in name:
            os._exit(139)
        if {SLOW!r} in name:
            time.sleep(0.15)

sys.addaudithook(_watch)
"""


@contextmanager
def ray_cluster(*cores: int) -> Iterator[Any]:
    """Start a head that predicts nothing, and a node of so many cores for each number.

    Gives the `Cluster`; all of it, logs included, goes when the block ends.
    """
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        (Path(folder) / "sitecustomize.py").write_text(_HOOK, encoding="utf-8")
        variables = {
            "PYTHONPATH": os.pathsep.join((folder, str(CHECKOUT))),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "RAY_gcs_server_port_wait_time_s": "60",
            "RAY_health_check_initial_delay_ms": "1000",
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "2",
        }
        with mock.patch.dict(os.environ, variables):
            from ray._private.authentication_test_utils import reset_auth_token_state
            from ray.cluster_utils import Cluster

            reset_auth_token_state()

            head = {"num_cpus": 0, "temp_dir": folder, **_NODE}
            cluster = Cluster(initialize_head=True, head_node_args=head)
            for each in cores:
                add_node(cluster, each)
            try:
                yield cluster
            finally:
                cluster.shutdown()


def add_node(cluster: Any, cores: int) -> Any:
    """Add a node, and return it."""
    return cluster.add_node(num_cpus=cores, **_NODE)


def worker_of(node: Any) -> int:
    """Return the process that predicts films on a node; 0 where there is none."""
    raylet = node.all_processes["raylet"][0].process.pid
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = status.read_text("utf-8").rsplit(")", 1)
        except OSError:
            continue
        if int(fields.split()[1]) == raylet and "MapWorker" in name:
            return int(status.parent.name)
    return 0
