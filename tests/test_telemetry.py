"""Nothing is told to anybody: the engines and what quantises for them make no connection."""

import subprocess
import sys

PROGRAM = """
import sys, threading
tried = []
def watch(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")):
        tried.append(event)
sys.addaudithook(watch)
from pipelines.networks.telemetry import switch_off_telemetry
switch_off_telemetry()
import nncf, openvino
openvino.convert_model  # its converter reports by itself
for thread in threading.enumerate():
    if thread is not threading.main_thread() and not thread.daemon:
        thread.join(5)
print(tried, sys.modules["openvino_telemetry"])
"""


def test_openvino_and_nncf_send_nothing(tmp_path):
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.split() == ["[]", "None"]
    assert not list(tmp_path.iterdir()), "no consent file, no identifier of a client"
