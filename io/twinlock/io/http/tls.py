"""TLS files: a party's own certificate and key, and the authority whose certificates it verifies, if any.

The Director's ``devices`` decide which vehicle or ECU a verified certificate names.
"""

from __future__ import annotations

import ssl
import stat
from functools import partial
from pathlib import Path
from typing import NoReturn

from twinlock.io.http.network_faults import ssl_words
from twinlock.trust.errors.usage import TlsFileError


def server_context(certificate: Path, key: Path, *, client_ca: Path | None, required: bool = True) -> ssl.SSLContext:
    """A context for TLS 1.2 or newer. Clients present a certificate of ``client_ca``; unless it is ``required`` they may present none.

    Without ``client_ca`` the server requests no certificate. Raises: TlsFileError for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0  # the client opens a connection for each request and resumes none
    load_pair(context, certificate, key)
    if client_ca is None:
        return context
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    try:
        context.load_verify_locations(cafile=client_ca)
    except (OSError, ValueError) as error:
        raise _unusable_authority(client_ca, error) from None
    return context


def client_context(ca: Path | None, *, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """A context that verifies servers by ``ca`` (None: the system's), and presents ``certificate``, if any, with ``key``.

    Raises: TlsFileError for files that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        if ca is None:
            raise
        raise _unusable_authority(ca, error) from None
    if certificate is not None and key is not None:
        load_pair(context, certificate, key)
    return context


def _unusable_authority(ca: Path, error: Exception) -> TlsFileError:
    held = _held(ca)
    if _CERTIFICATE in held:
        return TlsFileError(path=str(ca), reason=_why(error))
    return TlsFileError(
        path=str(ca), reason=f"the file holds {_named(held)}, and the certificate of an authority is needed"
    )


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have ``context`` present ``certificate`` with ``key``. Raises: TlsFileError, which states what each file holds."""
    held, held_too = _held(certificate), _held(key)
    try:
        context.load_cert_chain(certificate, key, password=partial(_encrypted, key))
    except (OSError, ValueError) as error:
        if _CERTIFICATE not in held and _CERTIFICATE in held_too and _KEY in held:
            reason = f"the file holds a private key, and {key} holds a certificate; swap the two files"
            raise TlsFileError(path=str(certificate), reason=reason) from None
        if _CERTIFICATE not in held:
            reason = f"the file holds {_named(held)}, and a certificate is needed"
            raise TlsFileError(path=str(certificate), reason=reason) from None
        if _KEY not in held_too:
            reason = f"the file holds {_named(held_too)}, and the private key of {certificate} is needed"
            raise TlsFileError(path=str(key), reason=reason) from None
        if getattr(error, "reason", None) == _MISMATCH:
            raise TlsFileError(
                path=str(key), reason=f"the key is not that of the certificate in {certificate}"
            ) from None
        raise TlsFileError(path=f"{certificate} with {key}", reason=_why(error)) from None


_CERTIFICATE, _KEY = b"CERTIFICATE-----", b"PRIVATE KEY-----"
_READ_BYTES = 1_000_000
_MISMATCH = "KEY_VALUES_MISMATCH"


def _held(path: Path) -> frozenset[bytes]:
    """Which sorts of PEM text ``path`` holds. Raises: TlsFileError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would hang here
            raise TlsFileError(path=str(path), reason="not a regular file")
        with path.open("rb") as file:
            data = file.read(_READ_BYTES)
    except OSError as error:
        raise TlsFileError(path=str(path), reason=error.strerror or "the file cannot be read") from None
    return frozenset(mark for mark in (_CERTIFICATE, _KEY) if mark in data)


def _named(held: frozenset[bytes]) -> str:
    names = {_CERTIFICATE: "a certificate", _KEY: "a private key"}
    return " and ".join(names[mark] for mark in sorted(held)) or "neither a certificate nor a key in PEM form"


def _why(error: Exception) -> str:
    """What OpenSSL could not read, as words."""
    return f"the PEM text is damaged or of an unknown type ({ssl_words(error)})"


def _encrypted(key: Path) -> NoReturn:
    raise TlsFileError(path=str(key), reason="the key is encrypted; an unencrypted one is needed")
