"""The device CA: what its certificates say, in what forms they are handed over, and who gets none."""

from __future__ import annotations

import io
import subprocess
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.director.device_world import DEVICE_FILES, Device, audited
from tests.unit.director.world import NOW, ImageSite, at
from twinlock.director.devices.credentials import Credential, provisioning_archive, write_files
from twinlock.director.devices.identity import TlsPeer
from twinlock.director.director import Director
from twinlock.director.errors.operator import NoCertificateError, NoDeviceCaError, OccupiedError, PastEndError
from twinlock.director.errors.vehicles import DeviceIdentityError, DeviceTakenError
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import PassphraseError, StorageError
from twinlock.trust.errors.metadata import UnsafePathError

DAYS = timedelta(days=30)


@pytest.fixture
def ready(director: Director) -> Director:
    director.devices.create_ca()
    return director


def openssl(*arguments: str, data: bytes = b"") -> str:
    result = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return (result.stdout + result.stderr).decode()


def peer_of(director: Director, credential: Credential) -> TlsPeer:
    return director.devices.read_peer(credential.certificate.public_bytes(Encoding.DER))


def everything_stored(director: Director) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(director.path.rglob("*")) if path.is_file())


def test_the_ca_is_made_once_and_only_its_owner_reads_its_key(director: Director) -> None:
    assert not director.devices.has_ca
    with pytest.raises(NoDeviceCaError):
        director.devices.issue_device("VIN7")
    pem = director.devices.create_ca(valid=timedelta(days=100))
    assert director.devices.ca_pem() == pem
    key = director.path / "device-ca" / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(OccupiedError):
        director.devices.create_ca()
    assert director.devices.ca_pem() == pem
    ca = x509.load_pem_x509_certificate(pem)
    assert ca.not_valid_after_utc == at(days=100)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_a_creation_that_was_cut_off_goes_on(director: Director) -> None:
    director.devices.create_ca()
    (director.path / "device-ca" / "ca.pem").unlink()
    key = (director.path / "device-ca" / "key.pem").read_bytes()
    with Director.open(director.path, clock=lambda: NOW) as again:
        pem = again.devices.create_ca()
        assert again.devices.ca_pem() == pem
    assert (director.path / "device-ca" / "key.pem").read_bytes() == key


def test_the_key_is_encrypted_like_the_others(tmp_path: Path, site: ImageSite) -> None:
    place = tmp_path / "secret"
    with Director.create(
        place, image_root=site.root, image_url=str(site.path), passphrase="open", clock=lambda: NOW
    ) as director:
        director.devices.create_ca()
    assert b"ENCRYPTED" in (place / "device-ca" / "key.pem").read_bytes()
    with Director.open(place, passphrase="wrong", clock=lambda: NOW) as director, pytest.raises(PassphraseError):
        director.devices.issue_device("VIN7")
    with Director.open(place, passphrase=lambda: "open", clock=lambda: NOW) as director:
        director.devices.issue_device("VIN7")


def test_a_key_that_is_not_the_cas_is_noticed(ready: Director, tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (ready.path / "device-ca" / "key.pem").write_bytes(pem)
    with Director.open(ready.path) as opened, pytest.raises(StorageError):
        opened.devices.issue_device("VIN7")


@pytest.mark.system
def test_openssl_takes_a_device_certificate_for_clients_only(ready: Director, tmp_path: Path) -> None:
    write_files(ready.devices.issue_device("VIN7", valid=DAYS), tmp_path / "import", names=DEVICE_FILES)
    ca, client, _key = (str(tmp_path / "import" / name) for name in DEVICE_FILES)
    moment = str(int(NOW.timestamp()))
    assert ": OK" in openssl("verify", "-attime", moment, "-purpose", "sslclient", "-CAfile", ca, client)
    refused = subprocess.run(
        ["openssl", "verify", "-attime", moment, "-purpose", "sslserver", "-CAfile", ca, client],
        check=False,
        capture_output=True,
    )
    assert refused.returncode != 0
    assert "CN = VIN7" in openssl("x509", "-in", client, "-noout", "-subject", "-nameopt", "RFC2253,space_eq")


def test_a_device_certificate_names_its_vehicle_and_is_for_clients_only(ready: Director, tmp_path: Path) -> None:
    credential = ready.devices.issue_device("VIN7", valid=DAYS)
    write_files(credential, tmp_path / "import", names=DEVICE_FILES)
    key = str(tmp_path / "import" / DEVICE_FILES[2])
    certificate = credential.certificate
    assert certificate.subject.rfc4514_string() == "CN=VIN7"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(credential.ca)
    assert Path(key).stat().st_mode & 0o777 == 0o600
    private = load_pem_private_key(Path(key).read_bytes(), None)
    assert private.public_key() == credential.certificate.public_key()
    assert credential.certificate.not_valid_after_utc == at(days=30)
    with pytest.raises(OccupiedError):
        write_files(credential, tmp_path / "import", names=DEVICE_FILES)


def test_a_server_certificate_is_for_its_hosts_and_for_servers_only(ready: Director) -> None:
    credential = ready.devices.issue_server(["fleet.example", "10.1.2.3", "::1"])
    names = credential.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["fleet.example"]
    assert [str(item) for item in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3", "::1"]
    usage = credential.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    for wrong in ([], ["-x"], ["a b"], ["x" * 65], ["host:80"], ["https://fleet.example"]):
        with pytest.raises(UsageError):
            ready.devices.issue_server(wrong)


def test_no_certificate_outlives_the_ca(director: Director) -> None:
    director.devices.create_ca(valid=timedelta(days=10))
    assert director.devices.issue_device("VIN7").certificate.not_valid_after_utc == at(days=10)
    with pytest.raises(PastEndError):
        director.devices.issue_device("VIN7", now=at(days=10))


@pytest.mark.parametrize("name", ["", "a/b", "..", "x\n", "y" * 65])
def test_what_cannot_be_a_vehicle_gets_no_certificate(ready: Director, name: str) -> None:
    with pytest.raises((UsageError, UnsafePathError)):
        ready.devices.issue_device(name)
    assert ready.devices.certificates() == ()


def test_a_p12_opens_with_an_empty_password_everywhere(ready: Director, tmp_path: Path) -> None:
    credential = ready.devices.issue_device("VIN7")
    packed = credential.p12()
    for password in (None, b""):
        private, certificate, others = pkcs12.load_key_and_certificates(packed, password)
        assert private is not None
        assert private.public_key() == credential.certificate.public_key()
        assert certificate == credential.certificate
        assert others == [credential.ca]
    assert "-BEGIN PRIVATE" not in repr(credential)


@pytest.mark.system
def test_openssl_opens_a_p12_with_an_empty_password(ready: Director, tmp_path: Path) -> None:
    (tmp_path / "a.p12").write_bytes(ready.devices.issue_device("VIN7").p12())
    shown = openssl("pkcs12", "-in", str(tmp_path / "a.p12"), "-passin", "pass:", "-nodes", "-info")
    assert "MAC: sha256" in shown  # OpenSSL before 3.0.8 reads no file without one
    assert shown.count("BEGIN CERTIFICATE") == 2
    assert shown.count("BEGIN PRIVATE KEY") == 1


def test_the_archive_for_provisioning_holds_what_the_client_looks_for(ready: Director) -> None:
    credential = ready.devices.issue_shared()
    packed = provisioning_archive(credential, "https://fleet.example:8443")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert sorted(archive.namelist()) == ["autoprov.url", "autoprov_credentials.p12"]
        assert archive.read("autoprov.url") == b"https://fleet.example:8443"
        _, certificate, others = pkcs12.load_key_and_certificates(archive.read("autoprov_credentials.p12"), b"")
    assert certificate == credential.certificate
    assert others == [credential.ca]
    assert peer_of(ready, credential).shared


def test_a_shared_certificate_gets_a_device_its_own_once(ready: Director) -> None:
    shared = peer_of(ready, ready.devices.issue_shared())
    credential = ready.devices.provision(shared, "VIN7", valid=DAYS)
    assert peer_of(ready, credential) == TlsPeer(name="VIN7", fingerprint=credential.fingerprint, shared=False)
    with pytest.raises(DeviceTakenError) as caught:
        ready.devices.provision(shared, "VIN7", valid=DAYS)
    assert caught.value.fields() == {"vehicle": "VIN7"}
    found = ready.devices.certificates("VIN7")
    assert [(item.kind, item.fingerprint, item.serial, item.not_after) for item in found] == [
        ("single", credential.fingerprint, credential.serial, at(days=30))
    ]
    assert found[0].actor == f"certificate {shared.fingerprint}"
    assert audited(ready, "VIN7", "certificate")[0]["fingerprint"] == credential.fingerprint


def test_a_registered_vehicle_gets_none_for_the_asking(ready: Director) -> None:
    device = Device()
    ready.devices.register(device.identity(), device.registration())
    shared = peer_of(ready, ready.devices.issue_shared())
    with pytest.raises(DeviceTakenError):
        ready.devices.provision(shared, "VIN7", valid=DAYS)


def test_an_operator_may_let_it_have_another_and_the_old_one_is_void(ready: Director) -> None:
    shared = peer_of(ready, ready.devices.issue_shared())
    old = ready.devices.provision(shared, "VIN7", valid=DAYS)
    ready.devices.allow_certificate("VIN7", valid_s=60)
    with pytest.raises(DeviceTakenError):
        ready.devices.provision(shared, "VIN7", valid=DAYS, now=at(seconds=60))
    new = ready.devices.provision(shared, "VIN7", valid=DAYS, now=at(seconds=59))
    assert peer_of(ready, new).name == "VIN7"
    with pytest.raises(DeviceIdentityError):
        peer_of(ready, old)
    with pytest.raises(DeviceTakenError):
        ready.devices.provision(shared, "VIN7", valid=DAYS)


def test_only_the_shared_certificate_asks_for_others(ready: Director) -> None:
    single = peer_of(ready, ready.devices.issue_device("VIN7"))
    for peer in (single, None):
        with pytest.raises(DeviceIdentityError):
            ready.devices.provision(peer, "VIN8", valid=DAYS)
    assert ready.devices.certificates("VIN8") == ()


def test_no_private_key_of_a_device_is_kept(ready: Director) -> None:
    shared = ready.devices.issue_shared()
    issued = [ready.devices.provision(peer_of(ready, shared), "VIN7", valid=DAYS), shared]
    issued += [ready.devices.issue_device("VIN8"), ready.devices.issue_server(["fleet.example"])]
    ready.close()
    stored = everything_stored(ready)
    assert b"VIN7" in stored
    for credential in issued:
        number = credential.private.private_numbers().private_value
        assert number.to_bytes(32, "big") not in stored
        assert f"{number:064x}".encode() not in stored.lower()
        assert credential.key_pem().splitlines()[1] not in stored


def test_certificates_can_be_taken_back(ready: Director) -> None:
    first, second = ready.devices.issue_device("VIN7"), ready.devices.issue_device("VIN7")
    assert peer_of(ready, first).name == peer_of(ready, second).name == "VIN7"
    assert ready.devices.revoke(first.fingerprint, actor="alice") == (first.fingerprint,)
    with pytest.raises(DeviceIdentityError):
        peer_of(ready, first)
    assert peer_of(ready, second).name == "VIN7"
    assert ready.devices.revoke("VIN7") == (second.fingerprint,)
    assert {item.revoked_at for item in ready.devices.certificates("VIN7")} == {NOW}
    for nothing in ("VIN7", "VIN9", first.fingerprint, "zz"):
        with pytest.raises(NoCertificateError) as caught:
            ready.devices.revoke(nothing)
        assert caught.value.code == ("unknown-certificate" if nothing in ("VIN9", "zz") else "no-certificate")
    # One of another CA is known by its fingerprint only.
    assert ready.devices.revoke("ab" * 32) == ("ab" * 32,)
    with pytest.raises(NoCertificateError):
        ready.devices.revoke("ab" * 32)
