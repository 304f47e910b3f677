"""The device API for vehicles that run aktualizr: the paths, bodies and statuses that this client knows, and no others.

    POST /director/ecus                 its ECUs, again whenever they change        201, or 200 if it was known
    PUT  /director/manifest             a signed vehicle version manifest           200
    GET  /director/<N>.root.json        and targets.json; 404 ends the client's walk through the Roots
    PUT  /system_info                   the output of lshw                          204
    PUT  /system_info/network           host name, address, MAC                     204
    POST /system_info/config            its configuration as text                   204
    PUT  /core/installed                installed packages                          204
    POST /events                        progress of updates                         204
    POST /devices                       {"deviceId", "ttl"}, shared certificate     200, PKCS#12
    GET  /livez /readyz

The client names its vehicle nowhere: it is the one of its verified certificate. With ``allow_serial`` every path but the
last exists below ``/serial/<serial of the Primary>`` too, which proves nothing.
"""

from __future__ import annotations

import ssl
from datetime import timedelta

from aiohttp import web
from cryptography import x509

from twinlock.director.api.requests import DIRECTOR, IMMUTABLE, application, body_of, note, run
from twinlock.director.devices.events import MAX_BYTES as MAX_EVENT_BYTES
from twinlock.director.devices.identity import RequestIdentity
from twinlock.director.devices.service import DEVICE_VALID, DeviceService
from twinlock.director.devices.telemetry import CONFIGURATION, KINDS, NETWORK, PACKAGES, SYSTEM_INFO
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import (
    DailyLimitError,
    DeviceIdentityError,
    DeviceTakenError,
    EcuKeyChangedError,
    EcuTakenError,
)
from twinlock.director.model.records import BY_CERTIFICATE
from twinlock.repository.serving.http import Handler, problem, problem_of
from twinlock.repository.workspace.validity import Clock, utc_now
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import parse_json

_CLOCK: web.AppKey[Clock] = web.AppKey("clock")
_MAX_VALID = web.AppKey("max_valid", timedelta)
_MAX_REQUEST_BYTES = 4_096
_MAX_DAYS = 999_999

# Status, and the code where the client acts on one.
_ANSWERS: dict[type[TwinlockError], tuple[int, str | None]] = {
    DeviceIdentityError: (403, None),
    EcuKeyChangedError: (409, None),
    EcuTakenError: (409, "ecu_already_registered"),
    DeviceTakenError: (409, "device_already_registered"),
    DailyLimitError: (429, None),
}


def aktualizr_application(
    director: Director,
    *,
    prefix: str = "",
    allow_serial: bool = False,
    max_valid: timedelta = DEVICE_VALID,
    clock: Clock = utc_now,
) -> web.Application:
    """The device API of this client for ``director``, below the path ``prefix`` if one is given.

    ``allow_serial`` trusts the serial in a path. Certificates that ``/devices`` issues are valid for
    ``max_valid`` at the longest. ``clock`` is what the certificates of kept connections are judged by, as TLS judges
    those of new ones.
    """
    app = application(director, _client_problems)
    app[_MAX_VALID] = max_valid
    app[_CLOCK] = clock
    for base in (prefix, f"{prefix}/serial/{{serial}}")[: 2 if allow_serial else 1]:
        app.router.add_post(f"{base}/director/ecus", _ecus)
        app.router.add_put(f"{base}/director/manifest", _manifest)
        app.router.add_get(f"{base}/director/{{name}}", _metadata)
        app.router.add_put(f"{base}/system_info", _system_info)
        app.router.add_put(f"{base}/system_info/network", _network)
        app.router.add_post(f"{base}/system_info/config", _configuration)
        app.router.add_put(f"{base}/core/installed", _packages)
        app.router.add_post(f"{base}/events", _events)
    app.router.add_post(f"{prefix}/devices", _devices)
    return app


async def _ecus(request: web.Request) -> web.Response:
    identity = await _identify(request)
    serial = request.match_info.get("serial")
    async with body_of(request, "registration of ECUs", DEFAULT_LIMITS.report_bytes) as data:
        change = await run(request, lambda: _service(request).register(identity, data, serial=serial))
    note(change=change.as_json())
    return web.json_response({}, status=201 if change.new else 200)


async def _manifest(request: web.Request) -> web.Response:
    director, identity = request.app[DIRECTOR], await _identify(request)
    proven = identity.identified_by == BY_CERTIFICATE
    async with body_of(request, "manifest", DEFAULT_LIMITS.report_bytes) as data:
        accepted = await run(
            request, lambda: director.receive_manifest(data, vehicle=identity.vehicle, authenticated=proven)
        )
    note(manifest=accepted.manifest, events=[event.code for event in accepted.events])
    return web.json_response({})


async def _metadata(request: web.Request) -> web.Response:
    director, identity = request.app[DIRECTOR], await _identify(request)
    name = request.match_info["name"]
    served = await run(request, lambda: director.serve(identity.vehicle, name))
    if served is None:
        return problem(404, code="not-found", detail="there is no such file")
    note(correlation_id=served.correlation_id, held=served.held)
    # Number 1 is another Root after the chain was handed over.
    caching = IMMUTABLE if name[:1].isdigit() and name != "1.root.json" else "no-store"
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=served.data, content_type="application/json", headers=headers)


async def _system_info(request: web.Request) -> web.Response:
    return await _telemetry(request, SYSTEM_INFO)


async def _network(request: web.Request) -> web.Response:
    return await _telemetry(request, NETWORK)


async def _configuration(request: web.Request) -> web.Response:
    return await _telemetry(request, CONFIGURATION)


async def _packages(request: web.Request) -> web.Response:
    return await _telemetry(request, PACKAGES)


async def _telemetry(request: web.Request, kind: str) -> web.Response:
    identity = await _identify(request)
    async with body_of(request, kind, KINDS[kind].max_bytes) as data:
        await run(request, lambda: _service(request).take_telemetry(identity.vehicle, kind, data))
    return web.Response(status=204)


async def _events(request: web.Request) -> web.Response:
    identity = await _identify(request)
    async with body_of(request, "events", MAX_EVENT_BYTES) as data:
        note(new_events=await run(request, lambda: _service(request).take_events(identity.vehicle, data)))
    return web.Response(status=204)


async def _devices(request: web.Request) -> web.Response:
    """A certificate and, since the client asks for it so, its private key: made here, sent once, kept nowhere."""
    service, certificate = _service(request), _certificate(request)
    if certificate is None or not service.has_ca:
        raise DeviceIdentityError(reason="certificates are issued only over TLS, to holders of the shared certificate")
    peer = await run(request, lambda: service.read_peer(certificate))
    async with body_of(request, "request for a certificate", _MAX_REQUEST_BYTES) as data:
        device, asked = _read_request(data)
    valid = min(asked, request.app[_MAX_VALID])
    credential = await run(request, lambda: service.provision(peer, device, valid=valid))
    note(vehicle=device, certificate=credential.fingerprint)
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=credential.p12(), content_type="application/x-pkcs12", headers=headers)


def _read_request(data: bytes) -> tuple[str, timedelta]:
    """The device's id, and how long it would like its certificate to be valid: days, which the client sends as text."""
    node = Node(parse_json(data, "request for a certificate"), "request for a certificate", "$")
    ttl = node.get("ttl")
    text = str(ttl.value) if isinstance(ttl.value, int) else ttl.text()
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        ttl.fail("a number of days is required")
    return node.get("deviceId").text(), timedelta(days=min(int(text[:9]), _MAX_DAYS))


async def _identify(request: web.Request) -> RequestIdentity:
    """The vehicle that the request is from. Raises: DeviceIdentityError."""
    certificate, serial = _certificate(request), request.match_info.get("serial")
    identity = await run(request, lambda: _service(request).identify(certificate, serial))
    note(vehicle=identity.vehicle)
    return identity


def _certificate(request: web.Request) -> bytes | None:
    """The client's certificate in DER, if TLS verified one. Raises: DeviceIdentityError if it is not valid now.

    TLS judged it when the connection was made, which may be long ago.
    """
    tls: ssl.SSLObject | None = request.get_extra_info("ssl_object")
    if tls is None or tls.context.verify_mode is ssl.CERT_NONE:
        return None
    certificate = tls.getpeercert(binary_form=True)
    if certificate is not None:
        read, now = x509.load_der_x509_certificate(certificate), request.app[_CLOCK]()
        if not read.not_valid_before_utc <= now <= read.not_valid_after_utc:
            raise DeviceIdentityError(
                reason=f"its certificate is valid from {format_time(read.not_valid_before_utc)} to "
                f"{format_time(read.not_valid_after_utc)}; the time is {format_time(now)}"
            )
    return certificate


def _service(request: web.Request) -> DeviceService:
    return request.app[DIRECTOR].devices


@web.middleware
async def _client_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except tuple(_ANSWERS) as error:
        status, code = next(_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS)
        return problem_of(error, status=status, code=code)
