"""Everything about vehicles with aktualizr except manifests and metadata, as one object.

    devices = director.devices
    devices.create_ca(valid=timedelta(days=7300))                 # once
    devices.issue_server("server", ["fleet.example"])             # a credential to run TLS with
    devices.issue_device("VIN1")                                  # a credential to import into one vehicle
    devices.register("VIN1", body, identified_by=BY_CERTIFICATE)  # what the vehicle itself does over HTTP
    devices.telemetry("VIN1"), devices.events("VIN1"), devices.certificates()

The modules next to this one do the work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from twinlock.director.devices.ca import CLIENT_AUTH, SERVER_AUTH, DeviceCa, Subject
from twinlock.director.devices.certificates import (
    SERVER,
    SHARED,
    SINGLE,
    Certificate,
    admit_first_certificate,
    allow_certificate,
    list_certificates,
    note_issued,
    revocable,
    revoke,
)
from twinlock.director.devices.credentials import Credential, make_credential
from twinlock.director.devices.ecu_changes import Change, apply_registration
from twinlock.director.devices.events import DeviceEvent, list_device_events, read_events, store_events
from twinlock.director.devices.identity import (
    RequestIdentity,
    TlsPeer,
    identify_request,
    keep_to_certificate,
    read_peer,
)
from twinlock.director.devices.refusals import note_refused_registration
from twinlock.director.devices.registration import read_registration
from twinlock.director.devices.telemetry import Telemetry, check_telemetry, list_telemetry, store_telemetry
from twinlock.director.errors.operator import NeedsNoCertificateError
from twinlock.director.errors.vehicles import (
    DailyLimitError,
    DeviceIdentityError,
    RegistrationError,
    RetiredVehicleError,
    UnknownVehicleError,
)
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import record_audit, record_limit
from twinlock.director.inventory.vehicles import check_active, load_vehicle
from twinlock.director.model.records import AKTUALIZR_PROFILE, BY_CERTIFICATE, BY_SERIAL
from twinlock.repository.keys.passphrases import secret_for_new
from twinlock.repository.keys.private_keys import Secret
from twinlock.repository.workspace.validity import Clock
from twinlock.trust.errors.base import RefusalError, UsageError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.names import VehicleId, identifier

CA_PLACE = "device-ca"
DEVICE_VALID = timedelta(
    days=3_650
)  # the client cannot renew a certificate; it lasts as long as the vehicle, or nearly
CA_VALID = timedelta(days=9_125)
_SHARED_NAME = "provisioning"
SERVER_VALID = timedelta(days=825)  # the longest that every TLS client accepts


class DeviceService:
    """Devices of one Director. Every method may raise StorageError; those that sign PassphraseError, UsageError."""

    def __init__(
        self,
        path: Path,
        database: Inventory,
        passphrase: Secret,
        *,
        online_keys: Path,
        second_person: bool,
        clock: Clock,
        actor: str,
    ) -> None:
        """``path`` is the Director's directory, ``online_keys`` where the keys are that sign for it by themselves.

        ``second_person``: see ``Settings``. ``actor`` is who does what no vehicle requests, for the audit.
        """
        self.second_person = second_person
        self._path = path
        self._online_keys = online_keys
        self._database = database
        self._passphrase = passphrase
        self._clock = clock
        self._actor = actor
        self._ca: DeviceCa | None = None
        self._opening = threading.Lock()

    @property
    def has_ca(self) -> bool:
        """Whether this Director has a device CA."""
        return self.ca_file.exists()

    @property
    def ca_file(self) -> Path:
        """Where the CA's certificate is, if there is a CA."""
        return self._path / CA_PLACE / "ca.pem"

    def create_ca(self, *, valid: timedelta = CA_VALID, now: datetime | None = None) -> bytes:
        """Make the device CA; returns its certificate as PEM. Raises: UsageError if there is one."""
        moment, passphrase = now or self._clock(), self._passphrase_for_new()
        DeviceCa.check_vacant(self._path / CA_PLACE)
        # Before: a process that dies in between leaves a row without a CA, and never a CA without a row.
        with self._database.writing("record an action") as connection:
            record_audit(connection, actor=self._actor, action="create-device-ca", now=moment)
        return DeviceCa.create(self._path / CA_PLACE, passphrase=passphrase, valid=valid, now=moment).pem

    def ca_pem(self) -> bytes:
        """The CA's certificate. Raises: UsageError if there is no CA."""
        return self._opened().pem

    def forget(self) -> None:
        """Drop the CA's key from memory."""
        self._ca = None

    def issue_device(
        self, vehicle: str, *, valid: timedelta = DEVICE_VALID, actor: str | None = None, now: datetime | None = None
    ) -> Credential:
        """A credential for one vehicle, on behalf of an operator: it may have others already, which stay valid."""
        subject = Subject(name=identifier(vehicle), usage=CLIENT_AUTH)
        return self._issue(subject, SINGLE, valid, actor=actor or self._actor, now=now or self._clock())

    def deliver(self, credential: Credential, write: Callable[[Credential], None]) -> None:
        """Hand ``credential`` to ``write``, and revoke it if that fails, because its key is then lost.

        Raises: what ``write`` raises.
        """
        try:
            write(credential)
        except BaseException:
            with suppress(StorageError):  # a disk that is full here too must not hide why the first write failed
                self.revoke(credential.fingerprint)
            raise

    def make_device(self, vehicle: str, *, valid: timedelta = DEVICE_VALID, now: datetime) -> Credential:
        """A credential for one vehicle that is recorded nowhere yet: the caller does that before it hands it over."""
        return make_credential(
            self._opened(), Subject(name=identifier(vehicle), usage=CLIENT_AUTH), not_after=now + valid, now=now
        )

    def issue_shared(self, *, valid: timedelta = DEVICE_VALID) -> Credential:
        """A credential with which any number of devices may ask for one of their own, and do nothing else."""
        subject = Subject(name=_SHARED_NAME, usage=CLIENT_AUTH)
        return self._issue(subject, SHARED, valid, actor=self._actor, now=self._clock())

    def issue_server(
        self, hosts: Sequence[str], *, valid: timedelta = SERVER_VALID, now: datetime | None = None
    ) -> Credential:
        """A credential for a server that devices of this CA talk to, by names or addresses."""
        if not hosts:
            raise UsageError(reason="name at least one host or address")
        subject = Subject(name=hosts[0], usage=SERVER_AUTH, hosts=tuple(hosts))
        return self._issue(subject, SERVER, valid, actor=self._actor, now=now or self._clock())

    def provision(
        self, peer: TlsPeer | None, device: str, *, valid: timedelta, now: datetime | None = None
    ) -> Credential:
        """A device's first credential, asked for with a shared one.

        Raises: DeviceIdentityError, DeviceTakenError, UnsafePathError.
        """
        if peer is None or not peer.shared:
            raise DeviceIdentityError(reason="only the shared certificate may ask for a certificate")
        moment = now or self._clock()
        subject = Subject(name=identifier(device), usage=CLIENT_AUTH)

        def may_have_one(connection: Connection) -> None:
            admit_first_certificate(connection, VehicleId(device), moment)

        actor = f"certificate {peer.fingerprint}"
        return self._issue(subject, SINGLE, valid, actor=actor, now=moment, check=may_have_one)

    def certificates(self, name: str | None = None) -> tuple[Certificate, ...]:
        """What was issued (to ``name``), newest first."""
        with self._database.reading() as connection:
            return list_certificates(connection, name=name)

    def check_revocable(self, name: str) -> None:
        """See that ``revoke`` would find something, before anything is asked. Raises: UsageError."""
        with self._database.reading() as connection:
            revocable(connection, name)

    def revoke(self, name: str, *, actor: str | None = None, now: datetime | None = None) -> tuple[str, ...]:
        """Revoke a vehicle's certificates, or the one with that fingerprint. Raises: UsageError if there is none."""
        with self._database.writing("revoke a certificate") as connection:
            return revoke(connection, name, actor=actor or self._actor, now=now or self._clock())

    def allow_certificate(
        self, vehicle: str, *, valid_s: int = 86_400, actor: str | None = None, now: datetime | None = None
    ) -> datetime:
        """Let ``vehicle`` ask once for another certificate with the shared one; returns until when.

        Raises: UnknownVehicleError where there is neither such a vehicle nor a certificate of it, RetiredVehicleError,
        UsageError where it does not run aktualizr.
        """
        with self._database.writing("store a permission") as connection:
            try:
                record = load_vehicle(connection, vehicle)
            except UnknownVehicleError:
                if not list_certificates(connection, name=vehicle, kind=SINGLE):
                    raise
            else:
                if record.ecus:  # without any, they were released and its id is free
                    check_active(record)
                if record.profile != AKTUALIZR_PROFILE:
                    raise NeedsNoCertificateError(vehicle=vehicle)
            moment = now or self._clock()
            return allow_certificate(
                connection, VehicleId(vehicle), valid_s=valid_s, actor=actor or self._actor, now=moment
            )

    def read_peer(self, certificate: bytes) -> TlsPeer:
        """Whose certificate (DER, verified by TLS) it is. Raises: DeviceIdentityError."""
        with self._database.reading() as connection:
            return read_peer(connection, certificate)

    def identify(
        self, certificate: bytes | None, serial: str | None, *, now: datetime | None = None
    ) -> RequestIdentity:
        """The vehicle that a request is from: by a verified certificate (DER), or by the serial in its path.

        Raises: DeviceIdentityError, UnsafePathError.
        """
        with self._database.reading() as connection:
            peer = None if certificate is None else read_peer(connection, certificate)
            identity = identify_request(connection, peer, serial)
        if identity.before == BY_SERIAL and identity.identified_by != BY_SERIAL:
            with self._database.writing("note how a vehicle is known") as connection:
                keep_to_certificate(connection, identity, now or self._clock())
        return identity

    def register(
        self, identity: RequestIdentity, data: bytes, *, serial: str | None = None, now: datetime | None = None
    ) -> Change:
        """Accept the ECUs that a vehicle registers; ``serial`` is what its path called its Primary, if anything.

        Raises: MalformedError, WeakKeyError, UnsafePathError, RegistrationError, EcuTakenError, EcuKeyChangedError.
        """
        moment, ecus = now or self._clock(), {}
        try:
            offered = read_registration(data, identity.vehicle)
            ecus = dict(offered.ecus)
            if serial not in (None, offered.primary):
                reason = f"the path names the Primary {serial}, the registration {offered.primary}"
                raise RegistrationError(vehicle=identity.vehicle, field="primary_ecu_serial", reason=reason)
            with self._database.writing("register a vehicle") as connection:
                return apply_registration(
                    connection,
                    identity.vehicle,
                    offered,
                    identified_by=identity.identified_by,
                    second_person=self.second_person,
                    now=moment,
                )
        except (RefusalError, RetiredVehicleError, DailyLimitError) as error:
            with self._database.writing("note a refused registration") as connection:
                note_refused_registration(
                    connection,
                    identity.vehicle,
                    ecus,
                    error,
                    authenticated=identity.identified_by == BY_CERTIFICATE,
                    now=moment,
                )
            raise

    def enter(
        self,
        vehicle: str,
        data: bytes,
        *,
        identified_by: str = BY_CERTIFICATE,
        actor: str | None = None,
        now: datetime | None = None,
    ) -> Change:
        """Accept a vehicle on behalf of an operator, by the body that its client once registered somewhere else.

        A client registers once, so one that another Director registered does not do it again by itself.
        Raises: as ``register``.
        """
        name = VehicleId(identifier(vehicle))
        offered = read_registration(data, name)
        with self._database.writing("enter a vehicle") as connection:
            moment = now or self._clock()
            return apply_registration(
                connection,
                name,
                offered,
                identified_by=identified_by,
                second_person=self.second_person,
                actor=actor or self._actor,
                now=moment,
            )

    def take_telemetry(self, vehicle: str, kind: str, data: bytes, *, now: datetime | None = None) -> None:
        """Keep what a vehicle reports of itself. Raises: EndlessDataError, MalformedError, UnknownVehicleError."""
        check_telemetry(kind, data)
        with self._database.writing("store telemetry") as connection:
            store_telemetry(connection, VehicleId(vehicle), kind, data, now or self._clock())

    def take_events(self, vehicle: str, data: bytes, *, now: datetime | None = None) -> int:
        """Keep a batch of events; returns how many were new. Raises: as ``take_telemetry``, and DailyLimitError."""
        events, moment = read_events(data), now or self._clock()
        try:
            with self._database.writing("store events") as connection:
                return store_events(connection, VehicleId(vehicle), events, moment)
        except DailyLimitError as error:
            record_limit(self._database, error, moment)
            raise

    def telemetry(self, vehicle: str) -> tuple[Telemetry, ...]:
        """The newest of each kind that the vehicle reported. Raises: UnknownVehicleError."""
        with self._database.reading() as connection:
            load_vehicle(connection, vehicle)
            return list_telemetry(connection, vehicle)

    def events(self, vehicle: str, *, limit: int = 50) -> tuple[DeviceEvent, ...]:
        """What the vehicle reported of its updates, newest first. Raises: UnknownVehicleError."""
        with self._database.reading() as connection:
            load_vehicle(connection, vehicle)
            return list_device_events(connection, vehicle, limit)

    def _issue(
        self,
        subject: Subject,
        kind: str,
        valid: timedelta,
        *,
        actor: str,
        now: datetime,
        check: Callable[[Connection], None] | None = None,
    ) -> Credential:
        ca = self._opened()
        with self._database.writing("issue a certificate") as connection:
            if check is not None:
                check(connection)
            credential = make_credential(ca, subject, not_after=now + valid, now=now)
            note_issued(connection, credential, kind=kind, name=subject.name, actor=actor, now=now)
        return credential

    def _opened(self) -> DeviceCa:
        with self._opening:
            if self._ca is None:
                self._ca = DeviceCa.open(self._path / CA_PLACE, self._passphrase)
            return self._ca

    def _passphrase_for_new(self) -> Secret:
        """As for the Director's other online keys."""
        return secret_for_new(self._passphrase, self._online_keys, ())
