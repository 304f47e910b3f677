"""``twinlock director create-device-ca`` and related commands: the certificates that identify vehicles with aktualizr."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director.orders import open_director, when
from twinlock.cli.shared.actor import ACTOR
from twinlock.cli.shared.batches import LIST, read_lines, show_batch, skip_refused_option
from twinlock.cli.shared.options import DIRECTORY, FILE, read_duration
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import passphrase_option

if TYPE_CHECKING:
    from datetime import timedelta

    from twinlock.director.director import Director
    from twinlock.director.operator.batch import BatchResult
    from twinlock.trust.errors.base import UsageError

DEVICE_FILES = ("ca.pem", "client.pem", "pkey.pem")  # the names in the client's own documentation
SERVER_FILES = ("ca.pem", "server.pem", "server.key.pem")
_VALID = "3650d"


@click.command("create-device-ca")
@click.argument("directory", type=DIRECTORY)
@click.option("--valid", default="9125d", show_default=True, help="The lifetime of the CA; no certificate outlives it.")
@ACTOR
@passphrase_option
@output_options
def create_device_ca(out: Output, directory: Path, *, valid: str, passphrase_file: Path | None) -> None:
    """Make the CA whose certificates identify vehicles. It has no authority over what they install.

    \b
    Example:
      twinlock director create-device-ca ./director
    """
    with open_director(directory, passphrase_file) as director:
        pem = director.devices.create_ca(valid=read_duration(valid))
        place = director.devices.ca_file
    out.result({"ca": pem.decode(), "file": str(place)}, f"made a device CA; its certificate is {place}")


@click.command("issue-device")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicles", nargs=-1, metavar="VEHICLE...")
@click.option("--list", "listed", type=LIST, help="A list of vehicles, one per line (- is standard input).")
@click.option("--output", type=DIRECTORY, required=True, help="The folder for ca.pem, client.pem and pkey.pem.")
@click.option(
    "--valid", default=_VALID, show_default=True, help="The lifetime; the client cannot renew the certificate."
)
@skip_refused_option
@ACTOR
@passphrase_option
@output_options
def issue_device(
    out: Output,
    directory: Path,
    vehicles: tuple[str, ...],
    *,
    listed: Path | None,
    output: Path,
    valid: str,
    skip_refused: bool,
    passphrase_file: Path | None,
) -> None:
    """Make a credential for each VEHICLE, to be imported there. Its private key is stored nowhere else.

    For several vehicles, or with --list, each gets a folder of its own name below --output. The same command
    completes an interrupted run: it revokes certificates whose keys were not written yet, and issues new ones.

    \b
    Example:
      twinlock director issue-device ./director VIN7 --output ./VIN7/import
      twinlock director issue-device ./director --list vehicles.txt --output ./credentials
    """
    from twinlock.director.devices.credentials import check_vacant, write_files

    if bool(vehicles) == (listed is not None):
        raise click.UsageError("name the VEHICLEs, or use --list")
    lifetime = read_duration(valid)
    if listed is not None or len(vehicles) > 1:
        named: list[tuple[str, str | UsageError]] = [(f"argument {n}", v) for n, v in enumerate(vehicles, 1)]
        if listed is not None:
            named = list(read_lines(listed))
        with open_director(directory, passphrase_file) as director:
            result = _issue_many(out, director, named, output, valid=lifetime, skip_refused=skip_refused)
        show_batch(out, result, f"credentials in {output}")
        return
    check_vacant(output, DEVICE_FILES)
    with open_director(directory, passphrase_file) as director, own_input():
        credential = director.devices.issue_device(vehicles[0], valid=lifetime)
        director.devices.deliver(credential, partial(write_files, folder=output, names=DEVICE_FILES))
    shown = {"vehicle": vehicles[0], "output": str(output), "fingerprint": credential.fingerprint}
    out.result(shown, f"wrote {', '.join(DEVICE_FILES)} to {output}; move them to the vehicle")


def _issue_many(
    out: Output,
    director: Director,
    named: list[tuple[str, str | UsageError]],
    output: Path,
    *,
    valid: timedelta,
    skip_refused: bool,
) -> BatchResult:
    """Credentials in ``output``/VEHICLE, written when they are recorded."""
    from twinlock.director.devices.deliveries import Deliveries

    with Deliveries.open(output, DEVICE_FILES) as deliveries, out.progress(len(named), "issuing") as advance:
        return director.batches.issue_devices(
            named, deliveries, valid=valid, skip_refused=skip_refused, advance=advance
        )


@click.command("issue-server")
@click.argument("directory", type=DIRECTORY)
@click.argument("hosts", nargs=-1, required=True, metavar="HOST...")
@click.option("--output", type=DIRECTORY, required=True, help="The folder for ca.pem, server.pem and server.key.pem.")
@click.option("--valid", default="825d", show_default=True, help="How long the certificate is valid.")
@ACTOR
@passphrase_option
@output_options
def issue_server(
    out: Output, directory: Path, hosts: tuple[str, ...], *, output: Path, valid: str, passphrase_file: Path | None
) -> None:
    """Make a TLS certificate for a server that these vehicles call by HOST names or addresses.

    \b
    Example:
      twinlock director issue-server ./director fleet.example 10.0.0.5 --output ./tls
    """
    from twinlock.director.devices.credentials import check_vacant, write_files

    check_vacant(output, SERVER_FILES)
    with open_director(directory, passphrase_file) as director:
        credential = director.devices.issue_server(hosts, valid=read_duration(valid))
        director.devices.deliver(credential, partial(write_files, folder=output, names=SERVER_FILES))
    shown = {"hosts": list(hosts), "output": str(output), "fingerprint": credential.fingerprint}
    out.result(shown, f"wrote {', '.join(SERVER_FILES)} to {output}")


@click.command("issue-provisioning")
@click.argument("directory", type=DIRECTORY)
@click.option("--url", required=True, help="Where devices reach this Director, such as https://fleet.example:8443.")
@click.option("--output", type=FILE, required=True, help="The archive to write (provision.provision_path).")
@click.option("--valid", default=_VALID, show_default=True, help="How long it may be used.")
@ACTOR
@passphrase_option
@output_options
def issue_provisioning(
    out: Output, directory: Path, *, url: str, output: Path, valid: str, passphrase_file: Path | None
) -> None:
    """Make an archive of shared credentials: with it a device gets a certificate of its own from the server.

    Anyone who has it can ask for a certificate of any vehicle that has none yet. Revoke it with `revoke-certificate`
    when the last device is built.

    \b
    Example:
      twinlock director issue-provisioning ./director --url https://fleet.example:8443 --output credentials.zip
    """
    from twinlock.director.devices.credentials import check_url, check_vacant, provisioning_archive
    from twinlock.io.files.durable import PRIVATE, clean_stale, create_once
    from twinlock.io.files.operator_files import check_directory_of

    check_url(url)
    check_directory_of(output, "the archive")
    clean_stale(output.parent)
    check_vacant(output.parent, (output.name,))
    with open_director(directory, passphrase_file) as director:
        credential = director.devices.issue_shared(valid=read_duration(valid))
        director.devices.deliver(
            credential, lambda made: create_once(output, provisioning_archive(made, url), mode=PRIVATE)
        )
    shown = {"url": url, "output": str(output), "fingerprint": credential.fingerprint}
    out.result(shown, f"wrote {output}; its certificate is {credential.fingerprint}")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("name", required=False)
@output_options
def certificates(out: Output, directory: Path, *, name: str | None) -> None:
    """List the certificates that the device CA issued, newest first; with NAME, those of that vehicle or host.

    \b
    Example:
      twinlock director certificates ./director VIN7
    """
    with open_director(directory) as director:
        issued = director.devices.certificates(name)
        if name is not None and not issued:
            director.vehicle(name)  # a mistyped name is not a vehicle without certificates
    rows = [
        (
            item.kind,
            item.name,
            when(item.not_after),
            "-" if item.revoked_at is None else when(item.revoked_at),
            item.fingerprint,
        )
        for item in issued
    ]
    header = ("KIND", "NAME", "VALID UNTIL", "REVOKED", "FINGERPRINT")
    shown = {"certificates": issued}
    out.result(shown, table(header, rows) if rows else "no certificates")


@click.command("revoke-certificate")
@click.argument("directory", type=DIRECTORY)
@click.argument("name", metavar="VEHICLE|FINGERPRINT")
@ACTOR
@yes_option
@output_options
def revoke_certificate(out: Output, directory: Path, name: str, *, yes: bool) -> None:
    """Revoke the certificates of a VEHICLE, or the one with that FINGERPRINT. The server refuses them from now on.

    \b
    Example:
      twinlock director revoke-certificate ./director VIN7
    """
    with open_director(directory) as director:
        director.devices.check_revocable(name)
        out.confirm(f"revoke the certificates of {name}", yes=yes)
        revoked = director.devices.revoke(name)
    out.result({"revoked": list(revoked)}, [f"revoked {fingerprint}" for fingerprint in revoked])


COMMANDS = (create_device_ca, issue_device, issue_server, issue_provisioning, certificates, revoke_certificate)
