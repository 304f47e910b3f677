"""The device CA: one EC P-256 key of the Director's that signs the certificates by which vehicles are known over TLS.

    ca = DeviceCa.create(place, passphrase=None, valid=timedelta(days=7300), now=now)    # or DeviceCa.open(place, None)
    certificate = ca.certify(public_key, Subject(name="VIN1", usage=CLIENT_AUTH), not_after=..., now=now)

These certificates identify vehicles and prove nothing about software: no vehicle installs anything because of one. The key is
kept like other online keys.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twinlock.director.errors.operator import NoDeviceCaError, OccupiedError, PastEndError
from twinlock.io.files.durable import clean_stale, create_file, read_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.repository.keys.private_keys import Secret, read_private_key, write_private_key
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import StorageError

CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
MAX_NAME = 64  # of a common name in X.509

_KEY, _CERTIFICATE = "key.pem", "ca.pem"
_MAX_BYTES = 65_536
_BACKDATED = timedelta(
    days=7
)  # for devices whose clocks are behind; the key is new, so it cannot have been used before
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The subject of a certificate: its name, ``usage`` CLIENT_AUTH or SERVER_AUTH, and the hosts of a server (names or addresses)."""

    name: str
    usage: x509.ObjectIdentifier
    hosts: tuple[str, ...] = ()


class DeviceCa:
    """An opened CA. Its private key stays in this object."""

    def __init__(self, certificate: x509.Certificate, private: ec.EllipticCurvePrivateKey) -> None:
        """Not for callers: use ``create`` or ``open``."""
        self.certificate = certificate
        self._private = private

    @staticmethod
    def check_vacant(place: Path) -> None:
        """Check that no CA is in the directory ``place``. Raises: UsageError."""
        if (place / _CERTIFICATE).exists():
            raise OccupiedError(path=str(place), what="a device CA")

    @classmethod
    def create(cls, place: Path, *, passphrase: Secret, valid: timedelta, now: datetime) -> Self:
        """Make a CA in the directory ``place``. An interrupted creation is repeated with the key that it left.

        Raises: UsageError if there is one already, StorageError, PassphraseError.
        """
        clean_stale(place)
        cls.check_vacant(place)
        with storage_errors("create", place):
            make_directory(place, 0o700)
        if not (place / _KEY).exists():
            write_private_key(place / _KEY, ec.generate_private_key(ec.SECP256R1()), passphrase)
        private = _open_key(place / _KEY, passphrase)
        certificate = _self_signed(private, valid, now)
        if not create_file(place / _CERTIFICATE, certificate.public_bytes(Encoding.PEM), max_bytes=_MAX_BYTES):
            raise OccupiedError(path=str(place), what="a device CA")
        return cls(certificate, private)

    @classmethod
    def open(cls, place: Path, passphrase: Secret) -> Self:
        """Open the CA in ``place``. Raises: UsageError if there is none, StorageError, PassphraseError."""
        pem = read_file(place / _CERTIFICATE, max_bytes=_MAX_BYTES)
        if pem is None:
            raise NoDeviceCaError()
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError as error:
            reason = f"the file is not a certificate: {error}"
            raise StorageError(path=str(place / _CERTIFICATE), operation="read", reason=reason) from None
        private = _open_key(place / _KEY, passphrase)
        if private.public_key() != certificate.public_key():
            raise StorageError(path=str(place / _KEY), operation="use", reason="the key does not belong to ca.pem")
        return cls(certificate, private)

    @property
    def pem(self) -> bytes:
        """The CA's certificate, which servers check clients with and devices servers."""
        return self.certificate.public_bytes(Encoding.PEM)

    def certify(
        self, public: ec.EllipticCurvePublicKey, subject: Subject, *, not_after: datetime, now: datetime
    ) -> x509.Certificate:
        """Sign a certificate for ``public``; it ends with the CA's own at the latest.

        Raises: UsageError for a name or host that no certificate can contain, or if the CA has expired.
        """
        ends = min(not_after, self.certificate.not_valid_after_utc)
        if ends <= now:
            raise PastEndError(what="the certificate", ends=ends)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._private.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject.name))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signing_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([subject.usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(authority, critical=False)
        )
        if subject.hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in subject.hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._private, hashes.SHA256())


def _open_key(path: Path, passphrase: Secret) -> ec.EllipticCurvePrivateKey:
    private = read_private_key(path, passphrase)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise StorageError(path=str(path), operation="use", reason="the key is not an EC key")
    return private


def _self_signed(private: ec.EllipticCurvePrivateKey, valid: timedelta, now: datetime) -> x509.Certificate:
    public = private.public_key()
    name = _name(f"Twinlock device CA {secrets.token_hex(4)}")  # so that two CAs can be distinguished
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + valid)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signing_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )


def _key_usage(*, signing_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signing_certificates,
        key_cert_sign=signing_certificates,
        crl_sign=signing_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    if len(text) > MAX_NAME:
        raise UsageError(reason=f"{text[:80]!r} has more than {MAX_NAME} characters, so no certificate can name it")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        if not _HOST.fullmatch(text):
            raise UsageError(reason=f"{text[:80]!r} is neither a host name nor an address") from None
        return x509.DNSName(text)
