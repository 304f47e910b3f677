"""``twinlock director rekey`` and related commands: ECUs with a new key, and counter resets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director.orders import open_director, when
from twinlock.cli.shared.actor import ACTOR, actor, actor_option
from twinlock.cli.shared.options import DIRECTORY, read_duration
from twinlock.cli.shared.output import Output, output_options
from twinlock.cli.shared.own_input import own_input, read_own_file

if TYPE_CHECKING:
    from twinlock.director.director import Director
    from twinlock.director.ways_out.key_changes import KeyChange, NewKey

_FINGERPRINT = re.compile(r"[0-9a-f]{16,64}")
VALID = click.option("--valid", default="1d", show_default=True, help="How long the permission lasts if unused.")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("ecu")
@click.argument("key")
@VALID
@ACTOR
@output_options
def rekey(out: Output, directory: Path, vehicle: str, ecu: str, key: str, *, valid: str) -> None:
    """Let ECU of VEHICLE change to the new KEY once, such as an ECU that was wiped and made a new key.

    KEY is its fingerprint (SHA-256 of the key material; for a pending key the first 16 digits suffice), or a file with
    the ECU's description. `director show` lists the keys that a vehicle presented. Compare the fingerprint with the part itself.

    \b
    Example:
      twinlock director rekey ./director VIN7 gw-7 1f0c9a7b55e4d210
      twinlock director rekey ./director VIN1 ecu-brake brake.json
    """
    _change(out, directory, vehicle, ecu, key, new_ecu=None, valid=valid)


@click.command("replace-ecu")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("ecu")
@click.argument("key")
@click.option("--serial", help="The serial of the new part, if it differs (a description includes it).")
@VALID
@ACTOR
@output_options
def replace_ecu(
    out: Output, directory: Path, vehicle: str, ecu: str, key: str, *, serial: str | None, valid: str
) -> None:
    """Replace ECU of VEHICLE by a new part. KEY is as for `rekey`.

    The new part may have another serial and other hardware. What it runs is unknown until it reports.

    \b
    Example:
      twinlock secondary describe ./brake-2 --json > brake-2.json
      twinlock director replace-ecu ./director VIN1 ecu-brake brake-2.json
    """
    _change(out, directory, vehicle, ecu, key, new_ecu=serial, valid=valid)


@click.command("confirm-key")
@click.argument("directory", type=DIRECTORY)
@click.argument("number", type=click.IntRange(1))
@actor_option("Who confirms it, for the audit: a different person than the one who asked for it.", required=True)
@output_options
def confirm_key(out: Output, directory: Path, number: int) -> None:
    """Confirm, as the second person, the change of a key that `rekey` or `replace-ecu` numbered NUMBER.

    \b
    Example:
      twinlock director confirm-key ./director 4 --actor anna
    """
    with open_director(directory) as director, own_input():
        change = director.ways_out.confirm(number, actor=actor())
    out.result(change, _change_text(change))


@click.command("reset-counter")
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.argument("ecus", nargs=-1, metavar="[ECU]...")
@VALID
@ACTOR
@output_options
def reset_counter(out: Output, directory: Path, vehicle: str, ecus: tuple[str, ...], *, valid: str) -> None:
    """Let ECUs of VEHICLE (none named: all) restart the count of their reports once, such as after a restored backup.

    No stored counter falls: the Director signs a nonce into the vehicle's metadata, the next report carries it, and the
    count continues from there. aktualizr cannot carry the nonce; its next report counts, identified by the vehicle's
    certificate.

    \b
    Example:
      twinlock director reset-counter ./director VIN1 ecu-gw
    """
    with open_director(directory) as director, own_input():
        valid_s = int(read_duration(valid).total_seconds())
        armed = director.ways_out.reset_counter(vehicle, ecus, valid_s=valid_s)
    lines = [f"{ecu} may restart its count once, until {when(reset.expires)}" for ecu, reset in armed.items()]
    shown = [{"ecu": ecu, "expires": reset.expires} for ecu, reset in armed.items()]
    out.result({"vehicle": vehicle, "resets": shown}, lines)


def _change(
    out: Output,
    directory: Path,
    vehicle: str,
    ecu: str,
    key: str,
    *,
    new_ecu: str | None,
    valid: str,
) -> None:
    with open_director(directory) as director, own_input():
        wanted = _new_key(director, vehicle, ecu, key, new_ecu)
        valid_s = int(read_duration(valid).total_seconds())
        change = director.ways_out.change_key(vehicle, wanted, valid_s=valid_s)
    out.result(change, _change_text(change))


def _new_key(director: Director, vehicle: str, ecu: str, key: str, new_ecu: str | None) -> NewKey:
    """The key that an argument names. Raises: UsageError, NoSuchEcuError, AmbiguousIdError."""
    from twinlock.cli.shared.errors import AmbiguousIdError
    from twinlock.director.errors.operator import NoSuchEcuError
    from twinlock.director.model.vehicle_description import read_ecu
    from twinlock.director.ways_out.key_changes import NewKey
    from twinlock.trust.errors.base import UsageError
    from twinlock.trust.names import EcuId

    named = EcuId(new_ecu) if new_ecu is not None else None
    if Path(key).exists():
        data = read_own_file(Path(key), "the ECU's description")
        with own_input(given=key):
            described = read_ecu(data)
        return NewKey(ecu=EcuId(ecu), described=described, new_ecu=named)
    if not _FINGERPRINT.fullmatch(key.lower()):
        raise UsageError(reason=f"{key!r} is neither a file nor a fingerprint of 16 to 64 hexadecimal digits")
    if ecu not in director.vehicle(vehicle).ecus:
        raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
    pending = {item["fingerprint"] for item in director.ways_out.pending_keys(vehicle)}
    matching = [fingerprint for fingerprint in pending if fingerprint.startswith(key.lower())]
    if len(matching) != 1 and len(key) != 64:
        raise AmbiguousIdError(given=key, matches=len(matching), among=f"pending keys of {vehicle}")
    fingerprint = matching[0] if len(matching) == 1 else key.lower()
    return NewKey(ecu=EcuId(ecu), fingerprint=fingerprint, new_ecu=named)


def _change_text(change: KeyChange) -> str:
    what = f"{change.ecu} of {change.vehicle}"
    if change.applied:
        return f"{what} now has the key {change.fingerprint[:16]}" + (
            f", as {change.new_ecu}" if change.new_ecu != change.ecu else ""
        )
    if change.confirmed_by is None:
        return (
            f"change {change.number} waits for a second person until {when(change.expires)}: "
            f"twinlock director confirm-key DIRECTORY {change.number} --actor NAME"
        )
    return f"{what} may register once with the key {change.fingerprint[:16]} until {when(change.expires)}"


COMMANDS = (rekey, replace_ecu, confirm_key, reset_counter)
