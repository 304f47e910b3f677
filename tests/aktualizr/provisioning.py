"""Who the vehicle is: credentials, the device id, pinned Roots, and the registration of its ECUs (wire 1.2, 1.4, 3).

Belongs here: everything before the first manifest. Does not belong here: the update itself.
"""

from __future__ import annotations

import json
import secrets
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from tests.aktualizr.config import Config, SharedCredentials, TlsFiles
from tests.aktualizr.http import Http, Response
from tests.aktualizr.metadata import Log, untrusted_version
from tests.aktualizr.secondaries import SecondaryEcu
from tests.aktualizr.storage import Storage
from tests.aktualizr.wire import SigningKey

ATTEMPTS = 2
TTL = "36000"
URL, CREDENTIALS = "autoprov.url", "autoprov_credentials.p12"


def import_roots(config: Config, storage: Storage) -> None:
    """Pinned Roots, of any version; only where none is stored yet (wire 1.2)."""
    for name, store in (("director", storage.director), ("repo", storage.image)):
        if name in config.initial_roots and not store.roots:
            root = config.initial_roots[name]
            store.roots[untrusted_version(root)] = root


def shared_url(shared: SharedCredentials) -> str:
    """``tls.server``, from the provisioning archive."""
    with zipfile.ZipFile(shared.archive) as archive:
        return archive.read(URL).decode().strip()


def unpack(archive: bytes, password: str, folder: Path) -> TlsFiles:
    """Write the key, the certificate and the CA of a PKCS#12 file as PEM files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = pkcs12.load_pkcs12(archive, password.encode() or None)
    assert bundle.key
    assert bundle.cert
    files = TlsFiles(folder / "ca.pem", folder / "client.pem", folder / "pkey.pem")
    files.key.write_bytes(bundle.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.certificate.write_bytes(bundle.cert.certificate.public_bytes(Encoding.PEM))
    authorities = bundle.additional_certs or [bundle.cert]
    files.ca.write_bytes(b"".join(each.certificate.public_bytes(Encoding.PEM) for each in authorities))
    return files


def common_name(certificate: Path) -> str:
    """The subject's common name: the device id, unless one is configured."""
    names = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    return str(names.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@dataclass
class Provisioning:
    """One start of the program, until it is provisioned."""

    config: Config
    storage: Storage
    http: Http
    log: Log
    folder: Path

    def run(self, secondaries: Sequence[SecondaryEcu]) -> bool:
        """Credentials, then registration; two attempts (wire 2.2). Whether the vehicle may go on."""
        if self.storage.key is None:
            self.storage.key = SigningKey.generate(self.config.key_type)
        for _ in range(ATTEMPTS):
            if self._credentials() and self._register(secondaries):
                self.log("... provisioned OK")
                return True
        self.log("Device was not able provision on-line")
        return False

    def _credentials(self) -> bool:
        """Device credentials: given, kept, or asked for with the shared ones."""
        if self.config.tls:
            self.storage.credentials = self.config.tls
        elif self.config.shared and self.storage.credentials is None and not self._ask(self.config.shared):
            return False
        self.http.tls = self.storage.credentials
        if self.storage.credentials and not self.storage.device_id:
            self.storage.device_id = self.config.device_id or common_name(self.storage.credentials.certificate)
        return True

    def _ask(self, shared: SharedCredentials) -> bool:
        """``POST /devices``, answered by a PKCS#12 file with an empty password (wire 1.4)."""
        if not self.storage.device_id:
            self.storage.device_id = self.config.device_id or secrets.token_hex(8)
        with zipfile.ZipFile(shared.archive) as archive:
            self.http.tls = unpack(archive.read(CREDENTIALS), shared.password, self.folder / "shared")
        body = {"deviceId": self.storage.device_id, "ttl": TTL}
        response = self.http.post(f"{self.config.server}/devices", body)
        if not response.ok:
            self.log("Shared credential provisioning failed: the server refused the device")
            if _code(response) == "device_already_registered":
                self.storage.device_id = ""
            return False
        self.storage.credentials = unpack(response.body, "", self.folder / "device")
        _delete_credentials(shared.archive)
        return True

    def _register(self, secondaries: Sequence[SecondaryEcu]) -> bool:
        """``POST /director/ecus`` with all ECUs, when they are not those that were registered (wire 3).

        Codes such as ``ecu_already_registered`` are an error like any other (wire 2.2).
        """
        assert self.storage.key is not None
        serial = self.config.primary_serial
        ecus = [(serial, self.config.hardware_id, self.storage.key.key)]
        ecus += [(ecu.serial, ecu.hardware_id, ecu.key.key) for ecu in secondaries]
        known = [(serial, hardware) for serial, hardware, _ in ecus]
        if self.storage.registered == known:
            self.log("All ECUs are already registered with the server.")
            return True
        entries = [
            {"clientKey": key, "ecu_serial": serial, "hardware_identifier": hardware} for serial, hardware, key in ecus
        ]
        body = {"ecus": entries, "primary_ecu_serial": serial}
        if not self.http.post(f"{self.config.director}/ecus", body).ok:
            return False
        self.storage.registered = known
        self.log("ECUs have been successfully registered with the server.")
        return True


def _code(response: Response) -> str:
    """The ``code`` of an error's body, which has to be JSON."""
    try:
        return str(json.loads(response.body)["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _delete_credentials(path: Path) -> None:
    """Take the shared credentials out of the archive, and leave the rest."""
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != CREDENTIALS}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
