"""TLS settings of the connections that a node opens and takes."""

import ssl
from typing import Any

from pipelines.deploy.node.settings import Tls
from pipelines.errors import ConfigurationError, Reason

_WRONG_CERTIFICATES = (
    "expected certificate, key and ca as PEM files that belong together, got others; "
    "check the files under tls"
)


class _PatientContext(ssl.SSLContext):
    """Shakes hands with a client when it is first read from, in the thread of its association.

    pynetdicom would do it in the thread that takes connections, where a client that says nothing
    keeps all others out.
    """

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*arguments, **options | {"do_handshake_on_connect": False})


def client_context(tls: Tls) -> ssl.SSLContext:
    """Make the TLS settings of a connection that we open.

    Args:
        tls: Certificates.

    Raises:
        ConfigurationError: If they cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError:  # a wrong certificate is one too
        raise ConfigurationError(Reason.CONFIGURATION, _WRONG_CERTIFICATES) from None
    return context


def server_context(tls: Tls) -> ssl.SSLContext:
    """Make the TLS settings of connections that we take.

    Args:
        tls: Certificates; with a `ca`, clients must have one that it has signed.

    Raises:
        ConfigurationError: If they cannot be read.
    """
    context = _PatientContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError:  # a wrong certificate is one too
        raise ConfigurationError(Reason.CONFIGURATION, _WRONG_CERTIFICATES) from None
    return context
