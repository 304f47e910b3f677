"""The device API of the Director: what vehicles talk to, and nothing that an operator may do.

    PUT  /vehicles/<id>/manifest          a signed vehicle version manifest       204
    GET  /vehicles/<id>/metadata/<name>   metadata of this vehicle; Roots of any  200
    POST /vehicles/<id>/enrolment         a description, with a one-time token    201, or 200 if it was known
    POST /time                            {"nonce": hex}                          a signed time attestation
    GET  /livez /readyz

    async with serving(director_application(director), port=8081) as server: ...

Bodies, answers and statuses are those of docs/POUF.md.
"""

from __future__ import annotations

import re

from aiohttp import web

from twinlock.director.api.requests import DIRECTOR, IMMUTABLE, application, body_of, note, run
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import EnrolmentTokenError, UnknownVehicleError
from twinlock.director.model.records import Served
from twinlock.repository.serving.http import Handler, problem, problem_of
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import parse_json
from twinlock.trust.wire.tuf.attestation import MAX_NONCES

_MAX_TIME_BYTES = 65_536
_MAX_TIME_VALUES = 2 * MAX_NONCES
_MAX_NONCE_BYTES = 64
_ROOT = re.compile(r"([1-9][0-9]{0,17})\.root\.json")


def director_application(director: Director, *, prefix: str = "") -> web.Application:
    """The device API for ``director``, below the path ``prefix`` (such as ``/director``) if one is given."""
    app = application(director, _token_problems)
    app.router.add_put(f"{prefix}/vehicles/{{vehicle}}/manifest", _manifest)
    app.router.add_get(f"{prefix}/vehicles/{{vehicle}}/metadata/{{name}}", _metadata)
    app.router.add_post(f"{prefix}/vehicles/{{vehicle}}/enrolment", _enrolment)
    app.router.add_post(f"{prefix}/time", _time)
    return app


async def _manifest(request: web.Request) -> web.Response:
    director, vehicle = request.app[DIRECTOR], request.match_info["vehicle"]
    async with body_of(request, "manifest", DEFAULT_LIMITS.report_bytes) as data:
        accepted = await run(request, lambda: director.receive_manifest(data, vehicle=vehicle))
    note(manifest=accepted.manifest, events=[event.code for event in accepted.events])
    return web.Response(status=204)


async def _metadata(request: web.Request) -> web.Response:
    director, vehicle, name = request.app[DIRECTOR], request.match_info["vehicle"], request.match_info["name"]
    served = await run(request, lambda: _serve(director, vehicle, name))
    if served is None:
        return problem(404, code="not-found", detail="there is no such file")
    note(correlation_id=served.correlation_id, held=served.held)
    caching = IMMUTABLE if name[:1].isdigit() else "no-store"
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=served.data, content_type="application/json", headers=headers)


def _serve(director: Director, vehicle: str, name: str) -> Served | None:
    """The file; of a vehicle that is not registered only Roots, which an ECU in the making follows and which are public."""
    try:
        return director.serve(vehicle, name)
    except UnknownVehicleError:
        match = _ROOT.fullmatch(name)
        if match is None:
            raise
        try:
            return Served(data=director.root_bytes(int(match[1])))
        except UsageError:
            return None


async def _enrolment(request: web.Request) -> web.Response:
    director, vehicle = request.app[DIRECTOR], request.match_info["vehicle"]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise EnrolmentTokenError(vehicle=vehicle)
    async with body_of(request, "vehicle description", DEFAULT_LIMITS.report_bytes) as data:
        new = await run(request, lambda: director.enrol(vehicle, token.strip(), data))
    return web.json_response({"vehicle": vehicle, "registered": True}, status=201 if new else 200)


async def _time(request: web.Request) -> web.Response:
    director = request.app[DIRECTOR]
    async with body_of(request, "time request", _MAX_TIME_BYTES) as data:
        nonces = _read_nonces(data)
    attestation = await run(request, lambda: director.attest_time(nonces))
    return web.Response(body=attestation, content_type="application/json", headers={"Cache-Control": "no-store"})


def _read_nonces(data: bytes) -> list[str]:
    """The nonces of a time request. Raises: MalformedError, LimitError."""
    node = Node(parse_json(data or b"{}", "time request", max_values=_MAX_TIME_VALUES), "time request", "$")
    members = [node.get("nonce")] if node.has("nonce") else []
    if node.has("nonces"):
        members += node.get("nonces").items(MAX_NONCES)
    nonces = []
    for item in members:
        if len(item.hex()) > _MAX_NONCE_BYTES:
            item.fail(f"a nonce has at most {_MAX_NONCE_BYTES} bytes")
        nonces.append(item.text())
    return nonces


@web.middleware
async def _token_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except EnrolmentTokenError as error:
        response = problem_of(error, status=401)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
