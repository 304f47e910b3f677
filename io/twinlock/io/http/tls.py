"""The server's side of TLS: its own certificate, and the authority whose client certificates it verifies, if any.

The Director's ``devices`` decide which vehicle or ECU a verified certificate names.
"""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path
from typing import NoReturn

from twinlock.trust.errors.usage import TlsFileError


def server_context(certificate: Path, key: Path, *, client_ca: Path | None, required: bool = True) -> ssl.SSLContext:
    """A context for TLS 1.2 or newer. Clients present a certificate of ``client_ca``; unless it is ``required`` they may present none.

    Without ``client_ca`` the server requests no certificate. Raises: TlsFileError for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # the client opens a connection for each request and resumes none
    try:
        context.load_cert_chain(certificate, key, password=partial(_encrypted, key))
    except (OSError, ValueError) as error:
        raise TlsFileError(path=f"{certificate} with {key}", reason=_why(error)) from None
    if client_ca is None:
        return context
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    try:
        context.load_verify_locations(cafile=client_ca)
    except (OSError, ValueError) as error:
        raise TlsFileError(path=str(client_ca), reason=_why(error)) from None
    return context


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _encrypted(key: Path) -> NoReturn:
    raise TlsFileError(path=str(key), reason="the key is encrypted; a server needs an unencrypted one")
