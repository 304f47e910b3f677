"""Credentials: a key pair that was made here with its certificate, in the formats in which a device or an operator gets it.

The private key goes to its holder and is kept nowhere else: the Director stores it neither in a file nor in its database.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from twinlock.director.devices.ca import DeviceCa, Subject
from twinlock.director.errors.operator import OccupiedError
from twinlock.io.files.durable import PRIVATE, clean_stale, create_once, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.trust.errors.base import UsageError

# The names that the client looks for inside the archive of shared credentials.
URL_FILE, P12_FILE = "autoprov.url", "autoprov_credentials.p12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A private key, its certificate, and the CA's certificate. Its ``repr`` shows no key."""

    private: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    ca: x509.Certificate

    def __repr__(self) -> str:
        return f"Credential({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in DER."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def serial(self) -> str:
        """The certificate's serial number in hexadecimal digits."""
        return f"{self.certificate.serial_number:x}"

    def p12(self) -> bytes:
        """PKCS#12 with an empty password: key, certificate and CA.

        Nothing in it is encrypted, since an empty password would hide nothing, and so every OpenSSL can read it. It has
        the SHA-256 MAC that old ones demand.
        """
        return pkcs12.serialize_key_and_certificates(None, self.private, self.certificate, [self.ca], NoEncryption())

    def key_pem(self) -> bytes:
        """The private key as PKCS#8."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def certificate_pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def ca_pem(self) -> bytes:
        """The CA's certificate."""
        return self.ca.public_bytes(Encoding.PEM)


def make_credential(ca: DeviceCa, subject: Subject, *, not_after: datetime, now: datetime) -> Credential:
    """A new key with a certificate. Raises: UsageError."""
    private = ec.generate_private_key(ec.SECP256R1())
    certificate = ca.certify(private.public_key(), subject, not_after=not_after, now=now)
    return Credential(private=private, certificate=certificate, ca=ca.certificate)


def check_vacant(folder: Path, names: tuple[str, ...]) -> None:
    """Check that none of the files exists. Raises: UsageError."""
    taken = [name for name in names if (folder / name).exists()]
    if taken:
        raise OccupiedError(path=str(folder), what=taken[0])


def write_files(credential: Credential, folder: Path, *, names: tuple[str, str, str]) -> None:
    """Write CA, certificate and key (0600) under ``names`` into ``folder``. Raises: UsageError if one exists, StorageError.

    The key is written last: where it exists, so do the others.
    """
    clean_stale(folder)
    check_vacant(folder, names)
    with storage_errors("create", folder):
        make_directory(folder, 0o700)
    ca, certificate, key = names
    create_once(folder / ca, credential.ca_pem())
    create_once(folder / certificate, credential.certificate_pem())
    create_once(folder / key, credential.key_pem(), mode=PRIVATE)


def check_url(url: str) -> None:
    """Check that ``url`` is one at which a device can ask for a certificate. Raises: UsageError."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        good = False
    if not good or url != "".join(url.split()).rstrip("/"):
        raise UsageError(
            reason=f"{url[:200]!r} is not of the form https://HOST[:PORT][/PATH] without a slash at its end"
        )


def provisioning_archive(credential: Credential, url: str) -> bytes:
    """The archive with which many devices ask for credentials of their own at ``url``. Raises: UsageError."""
    check_url(url)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(URL_FILE, url)
        archive.writestr(P12_FILE, credential.p12())
    return packed.getvalue()
