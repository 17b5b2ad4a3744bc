"""A real archive beside a node: Orthanc on a loopback of its own, forwarding what it gets."""

import ctypes
import fcntl
import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from dicomweb_client import DICOMwebClient
from node_fixture import free_port, wait_until

_CLONE_NEWNET = 0x4000_0000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

FORWARD = """
function OnStoredInstance(id, tags, metadata)
  if tags["Manufacturer"] ~= "plainfilm" then SendToModality(id, "plainfilm") end
end
"""


def why_no_orthanc() -> str | None:
    """Say what is missing to run Orthanc; None if nothing is."""
    if shutil.which("Orthanc") is None:
        return "no Orthanc on this machine (Debian: apt-get install orthanc orthanc-dicomweb)"
    return None if _DICOMWEB.exists() else "Orthanc has no plugin DICOMweb (orthanc-dicomweb)"


@contextmanager
def loopback_alone() -> Iterator[None]:
    """Give this thread, and all that it starts, a network of nothing but a loopback.

    Orthanc of Debian 12 listens on all addresses. Where a network of its own is not permitted, that
    of the machine is used.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open("rb") as before:
        if libc.unshare(_CLONE_NEWNET):
            yield
            return
        try:
            _bring_up_loopback()
            yield
        finally:
            libc.setns(before.fileno(), _CLONE_NEWNET)


def _bring_up_loopback() -> None:
    with socket.socket() as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


@dataclass
class Orthanc:
    """A running Orthanc.

    Attributes:
        dicom_port: Where it listens for DICOM.
        url: Root of its web server.
        web: A DICOMweb client of it.
    """

    dicom_port: int
    url: str
    web: DICOMwebClient

    def instances(self) -> int:
        """Return how many objects it holds."""
        return self.session.get(f"{self.url}/statistics", timeout=30).json()["CountInstances"]

    @property
    def session(self) -> requests.Session:
        return _session()


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy stands between the two
    return session


@contextmanager
def orthanc(folder: Path, *, node_port: int) -> Iterator[Orthanc]:
    """Run Orthanc until the block ends; it forwards films to a node at a port.

    Args:
        folder: For its configuration and its objects.
        node_port: Where plainfilm listens, or will listen.
    """
    dicom_port, http_port = free_port(), free_port()
    (folder / "forward.lua").write_text(FORWARD, "utf-8")
    configuration = {
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "StorageDirectory": str(folder / "objects"),
        "IndexDirectory": str(folder / "objects"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomModalities": {"plainfilm": ["PLAINFILM", "127.0.0.1", node_port]},
        "LuaScripts": [str(folder / "forward.lua")],
        "Plugins": [str(_DICOMWEB)],
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration), "utf-8")
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{http_port}"
    try:
        found = Orthanc(dicom_port, url, DICOMwebClient(f"{url}/dicom-web", session=_session()))
        wait_until(lambda: process.poll() is not None or _answers(found))
        assert process.poll() is None, (folder / "orthanc.log").read_text("utf-8", "replace")
        yield found
    finally:
        process.terminate()
        process.wait(60)


def _answers(orthanc: Orthanc) -> bool:
    try:
        return orthanc.instances() >= 0
    except (requests.RequestException, ValueError):
        return False
