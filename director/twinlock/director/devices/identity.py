"""Which vehicle a request is from: the name in its verified client certificate, or the serial that it states.

The client's protocol names no vehicle. Where TLS verified a certificate, its common name is the vehicle. A serial in the
path proves nothing: it is taken only where the operator allows that, and never for a vehicle that ever showed a
certificate, or that is expected to come with one. Either way manifests are signed, and what a vehicle installs is not decided here.

The caller owns the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, select, update

from twinlock.director.devices.certificates import SHARED, SINGLE, is_revoked, kind_of, list_certificates
from twinlock.director.errors.vehicles import DeviceIdentityError
from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.director.model.records import AKTUALIZR_PROFILE, BY_CERTIFICATE, BY_SERIAL
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import VehicleId, identifier

_V = schema.vehicles.c
_E = schema.ecus.c


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPeer:
    """Whose certificate TLS verified. ``shared`` is the one that many devices have, and which names no vehicle."""

    name: str
    fingerprint: str
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestIdentity:
    """The vehicle that a request is from, registered or not yet, and how that is known now and was known before."""

    vehicle: VehicleId
    identified_by: str
    before: str | None = None


def read_peer(connection: Connection, certificate: bytes) -> TlsPeer:
    """The holder of a certificate (in DER, verified by TLS). Raises: DeviceIdentityError, also if it was revoked."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        names = [str(item.value) for item in read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except ValueError as error:
        raise DeviceIdentityError(reason=f"the client certificate cannot be read: {error}") from None
    if len(names) != 1:
        raise DeviceIdentityError(reason=f"its certificate has {len(names)} common names, where one is required")
    fingerprint = read.fingerprint(hashes.SHA256()).hex()
    if is_revoked(connection, fingerprint):
        raise DeviceIdentityError(reason="the client certificate was revoked")
    try:
        name = identifier(names[0])
    except UnsafePathError as error:
        raise DeviceIdentityError(reason=f"the client certificate does not name a vehicle: {error}") from None
    return TlsPeer(name=name, fingerprint=fingerprint, shared=kind_of(connection, fingerprint) == SHARED)


def identify_request(connection: Connection, peer: TlsPeer | None, serial: str | None) -> RequestIdentity:
    """The vehicle that a request is from. ``serial`` is that of the path, None where there is none.

    Raises: DeviceIdentityError, UnsafePathError.
    """
    if peer is not None and peer.shared:
        raise DeviceIdentityError(
            reason="the shared certificate serves only to ask for a certificate of the device's own"
        )
    if serial is not None:
        return _by_serial(connection, peer, serial)
    if peer is None:
        raise DeviceIdentityError(reason="no client certificate was presented")
    return _identity(connection, peer, peer.name)


def keep_to_certificate(connection: Connection, identity: RequestIdentity, now: datetime) -> None:
    """Record that a vehicle has presented a certificate: from now on its serial alone is not enough."""
    query = update(schema.vehicles).where(_V.vehicle == identity.vehicle, _V.identified_by == identity.before)
    if connection.execute(query.values(identified_by=identity.identified_by)).rowcount:
        detail = {"before": identity.before, "now": identity.identified_by}
        record_audit(connection, actor="vehicle", action="identify", vehicle=identity.vehicle, detail=detail, now=now)


def _by_serial(connection: Connection, peer: TlsPeer | None, serial: str) -> RequestIdentity:
    owner = select(_E.vehicle).where(_E.ecu == serial, _E.retired_at.is_(None), _E.primary_ecu.is_(True))
    vehicle = connection.execute(owner).scalar_one_or_none() or identifier(serial)
    if peer is not None and peer.name != vehicle:
        raise DeviceIdentityError(reason=f"the certificate of {peer.name} does not identify {vehicle}")
    return _identity(connection, peer, vehicle)


def _identity(connection: Connection, peer: TlsPeer | None, vehicle: str) -> RequestIdentity:
    known = connection.execute(select(_V.profile, _V.identified_by).where(_V.vehicle == vehicle)).one_or_none()
    if known is not None and known.profile != AKTUALIZR_PROFILE:
        raise DeviceIdentityError(reason=f"{vehicle} is not registered as a vehicle that runs aktualizr")
    before = None if known is None else known.identified_by
    awaited = known is None and bool(list_certificates(connection, name=vehicle, kind=SINGLE))
    if peer is None and (before == BY_CERTIFICATE or awaited):
        raise DeviceIdentityError(reason=f"a serial is not enough to identify {vehicle}")
    now = BY_SERIAL if peer is None else BY_CERTIFICATE
    return RequestIdentity(vehicle=VehicleId(vehicle), identified_by=now, before=before)
