"""How objects get to a destination: by C-STORE, or by STOW-RS."""

import os
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Protocol

import pydicom
import requests
import urllib3
from dicomweb_client import DICOMwebClient
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from pipelines.deploy.node.outbox import Parcel
from pipelines.deploy.node.settings import (
    DeliverySettings,
    Destination,
    StoreDestination,
    StowDestination,
)
from pipelines.deploy.node.tls import client_context
from pipelines.errors import ConfigurationError, Reason

_SYNTAX = "TransferSyntaxUID"
_WARNINGS = range(0xB000, 0xC000)
_AWAY: frozenset[int] = frozenset(
    {
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
    }
)


class AwayError(Exception):
    """A destination does not answer, or not with an answer of a DICOM service.

    Args:
        at: The object that it showed at; None if it showed before one was sent.
    """

    def __init__(self, at: Parcel | None = None) -> None:
        super().__init__()
        self.at = at


class Sender(Protocol):
    """Brings objects to one destination."""

    def send(self, parcels: Sequence[Parcel]) -> Iterator[tuple[Parcel, Reason | None]]:
        """Send objects in order.

        Args:
            parcels: The objects.

        Yields:
            Each with the reason why it was refused, or None if it has arrived; DESTINATION_AWAY if
            the connection stood and broke over it.

        Raises:
            AwayError: If the destination does not answer; what was not yielded may or may not have
                arrived and is to be sent again.
        """


def sender_for(destination: Destination, settings: DeliverySettings, *, ae_title: str) -> Sender:
    """Make what sends to a destination.

    Args:
        destination: Where to.
        settings: How long it may take.
        ae_title: What we are called.

    Raises:
        ConfigurationError: If an environment variable with a header is missing, or certificates
            cannot be read.
    """
    if isinstance(destination, StoreDestination):
        return _StoreSender(destination, settings, ae_title)
    return _StowSender(destination, settings)


class _StoreSender:
    """Sends by C-STORE, many objects over one association."""

    def __init__(
        self, destination: StoreDestination, settings: DeliverySettings, ae_title: str
    ) -> None:
        self._destination = destination
        self._ae = AE(ae_title)
        self._ae.acse_timeout = settings.timeout_seconds
        self._ae.dimse_timeout = settings.timeout_seconds
        self._ae.network_timeout = settings.timeout_seconds
        self._ae.connection_timeout = settings.timeout_seconds
        tls = destination.tls
        self._tls = None if tls is None else (client_context(tls), destination.host)

    def send(self, parcels: Sequence[Parcel]) -> Iterator[tuple[Parcel, Reason | None]]:
        readable = []
        for parcel in parcels:
            header = _read(parcel, stop_before_pixels=True)
            if header is None:
                yield parcel, Reason.FILE_UNREADABLE
            else:
                readable.append((parcel, str(header.SOPClassUID)))
        if readable:
            association = self._associate({sop_class for _, sop_class in readable})
            try:
                for parcel, _ in readable:
                    refusal = self._store(association, parcel)
                    yield parcel, refusal
                    if refusal is Reason.DESTINATION_AWAY:
                        raise AwayError
            finally:
                if association.is_established:
                    association.release()

    def _associate(self, classes: set[str]) -> Association:
        self._ae.requested_contexts = []
        for sop_class in sorted(classes):
            self._ae.add_requested_context(
                sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
            )
        association = self._ae.associate(
            self._destination.host,
            self._destination.port,
            ae_title=self._destination.ae_title,
            tls_args=self._tls,
        )
        if not association.is_established:
            raise AwayError
        return association

    @staticmethod
    def _store(association: Association, parcel: Parcel) -> Reason | None:
        dataset = _read(parcel)
        if dataset is None:
            return Reason.FILE_UNREADABLE
        try:
            answer = association.send_c_store(dataset)
        except ValueError:  # no accepted presentation context for its class
            return Reason.DESTINATION_REFUSED
        except (RuntimeError, OSError):  # it ended before this object
            raise AwayError(parcel) from None
        status = answer.get("Status")
        if status is None:
            return Reason.DESTINATION_AWAY
        taken = status == 0 or status in _WARNINGS
        return None if taken else Reason.DESTINATION_REFUSED


class _StowSender:
    """Sends by STOW-RS, one object a request."""

    def __init__(self, destination: StowDestination, settings: DeliverySettings) -> None:
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0  # elsewhere, nobody was named to get patient data and headers
        if destination.ca is not None:
            session.verify = str(destination.ca)
        headers = {
            name: _from_environment(destination.name, variable)
            for name, variable in destination.headers.items()
        }
        self._client = DICOMwebClient(
            destination.url, session=session, headers=headers, timeout=settings.timeout_seconds
        )
        self._client.set_http_retry_params(retry=False)

    def send(self, parcels: Sequence[Parcel]) -> Iterator[tuple[Parcel, Reason | None]]:
        for parcel in parcels:
            refusal = self._store(parcel)
            yield parcel, refusal
            if refusal is Reason.DESTINATION_AWAY:
                raise AwayError

    def _store(self, parcel: Parcel) -> Reason | None:
        dataset = _read(parcel)
        if dataset is None:
            return Reason.FILE_UNREADABLE
        try:
            answer = self._client.store_instances([dataset])
        except requests.RequestException as error:
            return _why_not(error, parcel)
        except ValueError:  # an answer that is none of a DICOM service
            raise AwayError(parcel) from None
        except Exception:  # noqa: BLE001 - what could be read and cannot be written
            return Reason.FILE_UNREADABLE
        return Reason.DESTINATION_REFUSED if answer.get("FailedSOPSequence") else None


def _read(parcel: Parcel, *, stop_before_pixels: bool = False) -> pydicom.FileDataset | None:
    """Read an object; None if it is none that can be sent."""
    try:
        dataset = pydicom.dcmread(parcel.path, stop_before_pixels=stop_before_pixels)
        whole = all((dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.file_meta[_SYNTAX].value))
    except Exception:  # noqa: BLE001 - broken bytes break pydicom in many ways
        return None
    return dataset if whole else None


def _why_not(error: requests.RequestException, parcel: Parcel) -> Reason:
    """Say what a failed request means for its object.

    Raises:
        AwayError: If it means something for the destination instead.
    """
    if isinstance(error, requests.TooManyRedirects):
        return Reason.DESTINATION_REFUSED
    if isinstance(error, requests.HTTPError) and error.response is not None:
        if error.response.status_code not in _AWAY:
            return Reason.DESTINATION_REFUSED
    elif _stood(error):
        return Reason.DESTINATION_AWAY
    raise AwayError(parcel) from None


def _stood(error: requests.RequestException) -> bool:
    """Whether a request broke after its connection was made."""
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.ReadTimeout) or isinstance(
        cause, urllib3.exceptions.ProtocolError | urllib3.exceptions.ReadTimeoutError
    )


def _from_environment(destination: str, variable: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            f"expected the environment variable {variable} for the destination '{destination}', "
            "got none; set it before the node starts",
        )
    return value
