"""A certificate authority for tests: server and device certificates, and the archives of wire 1.4.

Belongs here: making credentials. Does not belong here: using them.
"""

from __future__ import annotations

import ipaddress
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from tests.aktualizr.config import TlsFiles

PRIVATE = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Authority:
    """One CA with its files in ``folder``."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST CA")])
        self.certificate = self._sign("TEST CA", self.key.public_key(), ca=True)
        self.ca = self.folder / "ca.pem"
        self.ca.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str) -> TlsFiles:
        """Files for a client called ``name``, or for a server on 127.0.0.1: the certificate serves as both."""
        key = _key()
        certificate = self._sign(name, key.public_key())
        files = TlsFiles(self.ca, self.folder / f"{name}.pem", self.folder / f"{name}.key")
        files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        files.key.write_bytes(key.private_bytes(*PRIVATE))
        return files

    def bundle(self, name: str) -> bytes:
        """A PKCS#12 file with key, certificate and CA, and an empty password: the answer to ``POST /devices``."""
        key = _key()
        certificate = self._sign(name, key.public_key())
        how = pkcs12.serialize_key_and_certificates
        return how(name.encode(), key, certificate, [self.certificate], NoEncryption())

    def archive(self, url: str) -> Path:
        """A provisioning archive for the server at ``url``."""
        path = self.folder / "credentials.zip"
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("autoprov.url", url)
            made.writestr("autoprov_credentials.p12", self.bundle("shared"))
        return path

    def _sign(self, name: str, key: ec.EllipticCurvePublicKey, *, ca: bool = False) -> x509.Certificate:
        start = datetime.now(UTC) - timedelta(days=1)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        usage = x509.KeyUsage(
            digital_signature=not ca,
            key_cert_sign=ca,
            crl_sign=ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder(self.name, subject, key, x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self.key, hashes.SHA256())
