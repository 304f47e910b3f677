"""``twinlock director serve-aktualizr`` and related commands: vehicles that run aktualizr, apart from their assignments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director.orders import open_director, when
from twinlock.cli.shared.actor import ACTOR
from twinlock.cli.shared.batches import LIST, read_input, read_lines, show_batch, skip_refused_option
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.options import DIRECTORY, FILE, read_duration
from twinlock.cli.shared.output import Output, output_options, table
from twinlock.cli.shared.own_input import own_input, shown_source
from twinlock.cli.shared.passphrase import passphrase_option
from twinlock.cli.shared.serving_options import serving_options

if TYPE_CHECKING:
    import ssl

    from twinlock.director.director import Director
    from twinlock.io.http.bounds import Bounds
    from twinlock.trust.errors.base import UsageError

KINDS = ("system-info", "network", "configuration", "installed-packages")


@click.command("allow-certificate")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.option("--valid", default="1d", show_default=True, help="How long the permission lasts if unused.")
@ACTOR
@output_options
def allow_certificate(out: Output, directory: Path, vehicle: str, *, valid: str) -> None:
    """Let VEHICLE request another certificate of its own, once, with the shared one.

    For a vehicle with aktualizr that was wiped. If its ECUs have new keys too, confirm each of them with `rekey`.

    \b
    Example:
      twinlock director allow-certificate ./director VIN7 --valid 2h
    """
    with open_director(directory) as director:
        valid_s = int(read_duration(valid).total_seconds())
        expires = director.devices.allow_certificate(vehicle, valid_s=valid_s)
    out.result({"vehicle": vehicle, "expires": expires}, f"{vehicle} may ask for a certificate until {when(expires)}")


_LINE = '{"vehicle": "VIN7", "registration": {...}}'  # what a line of a list looks like


@click.command("enter-aktualizr")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle", required=False)
@click.argument("registration", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), required=False)
@click.option(
    "--list",
    "listed",
    type=LIST,
    help='Many at once, as JSON lines: {"vehicle": ..., "registration": {...}} (- is stdin).',
)
@click.option(
    "--by-serial", is_flag=True, help="It has no certificate and is identified by its serial (no authentication)."
)
@skip_refused_option
@ACTOR
@output_options
def enter_aktualizr(
    out: Output,
    directory: Path,
    vehicle: str | None,
    registration: Path | None,
    *,
    listed: Path | None,
    by_serial: bool,
    skip_refused: bool,
) -> None:
    """Register VEHICLE by the REGISTRATION of its ECUs that its client sent to another Director.

    aktualizr registers once. A vehicle that another Director ran has registered there, and does not register again. This command
    takes the JSON body that it sent then (POST /director/ecus), for example from that Director's records. - reads standard
    input. With --list all vehicles are entered, or none; with --skip-refused those that are not refused.

    \b
    Example:
      twinlock director enter-aktualizr ./director VIN7 vin7-ecus.json
      twinlock director enter-aktualizr ./director --list fleet.jsonl --json
    """
    from twinlock.director.model.records import BY_CERTIFICATE, BY_SERIAL

    known_by = BY_SERIAL if by_serial else BY_CERTIFICATE
    if listed is not None and vehicle is None:
        items = [(source, *_registered(line)) for source, line in read_lines(listed)]
        with open_director(directory) as director, out.progress(len(items), "entering") as advance:
            enter = director.batches.enter
            result = enter(items, identified_by=known_by, skip_refused=skip_refused, advance=advance)
        show_batch(out, result, "entered vehicles")
        return
    if vehicle is None or registration is None or listed is not None:
        raise click.UsageError("name one VEHICLE and its REGISTRATION, or use --list")
    data = read_input(registration)
    with open_director(directory) as director, own_input(given=shown_source(registration)):
        change = director.devices.enter(vehicle, data, identified_by=known_by)
    text = f"entered {vehicle}" if change.new else f"{vehicle} is already registered, unchanged"
    if not (change.new or change.nothing):
        text = f"changed the ECUs of {vehicle}"
    out.result({"vehicle": vehicle, "new": change.new, "change": change.as_json()}, text)


def _registered(line: str | UsageError) -> tuple[str, bytes | UsageError]:
    """The vehicle and the body of one line of a list, or an error in place of the body."""
    from twinlock.trust.errors.base import UsageError

    if isinstance(line, UsageError):
        return "", line
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return "", UsageError(reason=f"the line is not JSON; write {_LINE}")
    if not isinstance(row, dict):
        return "", UsageError(reason=f"the line is not a JSON object; write {_LINE}")
    vehicle = row.get("vehicle", "")
    if not isinstance(vehicle, str):
        return "", UsageError(reason=f"the member vehicle is not a text; write {_LINE}")
    for member in ("vehicle", "registration"):
        if member not in row:
            return vehicle, UsageError(reason=f"the line has no member {member}; write {_LINE}")
    return vehicle, json.dumps(row["registration"]).encode()


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.option("--kind", type=click.Choice(KINDS), help="Show this kind, as it was sent.")
@output_options
def telemetry(out: Output, directory: Path, vehicle: str, *, kind: str | None) -> None:
    """Show what a VEHICLE with aktualizr last reported about itself. None of it is signed.

    \b
    Example:
      twinlock director telemetry ./director VIN7
      twinlock director telemetry ./director VIN7 --kind network
    """
    with open_director(directory) as director:
        telemetry = [item for item in director.devices.telemetry(vehicle) if kind in (None, item.kind)]
    if kind is None:
        rows = [(item.kind, when(item.received_at)) for item in telemetry]
        lines = table(("KIND", "RECEIVED"), rows) if rows else ["nothing was reported yet"]
    else:
        shown = (
            item.value if isinstance(item.value, str) else json.dumps(item.value, indent=2, ensure_ascii=False)
            for item in telemetry
        )
        lines = [line for text in shown for line in text.split("\n")]
    out.result({"vehicle": vehicle, "telemetry": telemetry}, lines)


@click.command("device-events")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@output_options
def device_events(out: Output, directory: Path, vehicle: str, *, limit: int) -> None:
    """List what a VEHICLE with aktualizr reported about the progress of its updates, newest first. None of it is signed.

    \b
    Example:
      twinlock director device-events ./director VIN7 --json
    """
    with open_director(directory) as director:
        events = director.devices.events(vehicle, limit=limit)
    rows = [
        (
            when(item.device_time),
            item.kind,
            _shown(item.detail.get("ecu")),
            _shown(item.detail.get("success")),
            _shown(item.detail.get("correlationId")),
        )
        for item in events
    ]
    lines = table(("DEVICE TIME", "EVENT", "ECU", "SUCCESS", "CORRELATION"), rows) if rows else ["no events yet"]
    out.result({"vehicle": vehicle, "events": events}, lines)


@click.command("serve-aktualizr")
@click.argument("directory", type=DIRECTORY)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="0 picks a free port.")
@click.option("--tls-cert", type=FILE, help="The server's certificate (PEM), such as issue-server makes.")
@click.option("--tls-key", type=FILE, help="Its private key (PEM, not encrypted).")
@click.option("--client-ca", type=FILE, help="The CA of the vehicles' certificates (default: the device CA made here).")
@click.option(
    "--allow-serial",
    is_flag=True,
    help="Accept a serial in the path (/serial/SERIAL/...) as identity. A serial does not authenticate its sender.",
)
@click.option(
    "--device-valid", default="3650d", show_default=True, help="The longest lifetime of an issued certificate."
)
@serving_options
@passphrase_option
@output_options
def serve_aktualizr(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    *,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: Path | None,
    allow_serial: bool,
    device_valid: str,
    bounds: Bounds,
    passphrase_file: Path | None,
) -> None:
    """Serve the device API of aktualizr until interrupted, separately from that of `serve`.

    A verified client certificate identifies the vehicle. With --allow-serial the serial of its Primary in the path
    does too, without proof: anyone who can reach the port can then pose as such a vehicle, register other ECUs for it,
    and read its orders. Manifests are still signed, and a vehicle that has ever presented a certificate must
    always present one.

    \b
    Example:
      twinlock director issue-server ./director fleet.example --output ./tls
      twinlock director serve-aktualizr ./director --host 0.0.0.0 --tls-cert tls/server.pem --tls-key tls/server.key.pem
    """
    import asyncio

    from twinlock.director.api.aktualizr_api import aktualizr_application
    from twinlock.repository.serving.http import serve_until_stopped

    with open_director(directory, passphrase_file) as director:
        context = _context(director, (tls_cert, tls_key, client_ca), allow_serial=allow_serial)
        director.check()
        if allow_serial:
            out.note("with --allow-serial anyone who reaches this port can pose as a vehicle that has no certificate")
        if director.devices.has_ca:
            director.devices.ca_pem()  # asks for a passphrase now, not at the first request
        application = aktualizr_application(director, allow_serial=allow_serial, max_valid=read_duration(device_valid))
        asyncio.run(
            serve_until_stopped(
                application,
                host=host,
                port=port,
                tls=context,
                bounds=bounds,
                started=lambda server: out.event(
                    {"event": "listening", "url": server.url}, f"serving {directory} to aktualizr at {server.url}"
                ),
            )
        )


def _shown(value: object) -> str:
    """A member of an event, which may be of any shape: nothing of it is signed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return foreign(value)


def _context(
    director: Director, files: tuple[Path | None, Path | None, Path | None], *, allow_serial: bool
) -> ssl.SSLContext | None:
    """TLS from the options; None for plain HTTP. Raises: UnprotectedServingError if vehicles could not prove
    their identity; UsageError."""
    from twinlock.cli.shared.errors import UnprotectedServingError
    from twinlock.io.http.tls import server_context
    from twinlock.trust.errors.base import UsageError

    certificate, key, client_ca = files
    if client_ca is None and director.devices.has_ca:
        client_ca = director.devices.ca_file
    if (certificate is None) != (key is None):
        raise UsageError(reason="--tls-cert and --tls-key must be given together")
    if certificate is None or key is None:
        if not allow_serial:
            reason = "without --tls-cert and --tls-key vehicles cannot prove who they are"
            raise UnprotectedServingError(reason=reason, option="--allow-serial")
        return None
    if client_ca is None and not allow_serial:
        raise UsageError(reason="this Director has no device CA; make one with create-device-ca, or use --client-ca")
    return server_context(certificate, key, client_ca=client_ca, required=not allow_serial)


COMMANDS = (serve_aktualizr, enter_aktualizr, allow_certificate, telemetry, device_events)
