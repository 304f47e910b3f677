"""``twinlock director``: the Director, from the shell.

Assignments are in ``orders.py``, and what only those with aktualizr need in ``devices.py`` and
``certificates.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director import certificates as director_certificates
from twinlock.cli.director import clock as director_clock
from twinlock.cli.director import devices as director_devices
from twinlock.cli.director import ecus as director_ecus
from twinlock.cli.director import installed as director_installed
from twinlock.cli.director import keys as director_keys
from twinlock.cli.director import orders as director_orders
from twinlock.cli.director import root as director_root
from twinlock.cli.director import serving as director_serving
from twinlock.cli.director import status as director_status
from twinlock.cli.director import vehicle as director_vehicle
from twinlock.cli.director.orders import open_director
from twinlock.cli.director.wire import WIRES, wire
from twinlock.cli.shared.actor import ACTOR, actor
from twinlock.cli.shared.batches import read_documents, show_batch, skip_refused_option
from twinlock.cli.shared.first_contact import ask_unless, offline_option
from twinlock.cli.shared.options import (
    DEMAND_OF_ROLES,
    DIRECTORY,
    FILE,
    KEY_KINDS,
    read_duration,
    read_plans,
    read_validity,
)
from twinlock.cli.shared.output import Output, output_options, table
from twinlock.cli.shared.own_input import own_input, read_own_file, shown_source
from twinlock.cli.shared.passphrase import new_passphrase, passphrase_option, plain_keys_option
from twinlock.cli.signing.client_support import note_kinds
from twinlock.cli.signing.keys import KeyAction, keys_group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twinlock.director.director import Director
    from twinlock.director.model.settings import Settings
    from twinlock.repository.keys.keyring import Keyring
    from twinlock.repository.signing.named_keys import NamedKey


@click.group()
def director() -> None:
    """Create and run a Director: the lock that decides what a vehicle installs now.

    \b
    Example:
      twinlock director init ./director --image-root ./image/public/metadata/1.root.json --image http://127.0.0.1:8080
      twinlock director register ./director vehicle.json
      twinlock director assign ./director VIN1 ecu-brake=brake/brake-2.0.bin
      twinlock director serve ./director --port 8081 --plain
    """


_COMMANDS = (
    *director_orders.COMMANDS,
    *director_root.COMMANDS,
    *director_ecus.COMMANDS,
    *director_keys.COMMANDS,
    *director_status.COMMANDS,
    *director_vehicle.COMMANDS,
    *director_installed.COMMANDS,
    *director_devices.COMMANDS,
    *director_certificates.COMMANDS,
    *director_clock.COMMANDS,
    *director_serving.COMMANDS,
)
for _command in _COMMANDS:
    director.add_command(_command)


@director.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--image-root", type=FILE, required=True, help="A trusted Root file of the Image repository.")
@click.option("--image", required=True, help="The Image repository's base URL, or its directory.")
@click.option("--kind", type=click.Choice(KEY_KINDS), default="ed25519", show_default=True, help="The kind of keys.")
@click.option(
    "--keys", multiple=True, metavar="ROLE=T/N[:KIND[+KIND]]", help="N keys of which T must sign, such as root=2/3."
)
@DEMAND_OF_ROLES
@click.option("--valid", default="1d", show_default=True, help="How long the metadata of a vehicle stays valid.")
@click.option("--wire", type=click.Choice(WIRES), multiple=True, help="Publish Roots for these clients too.")
@offline_option("the Image repository")
@ACTOR
@plain_keys_option
@passphrase_option
@output_options
def init(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    *,
    image_root: Path,
    image: str,
    kind: str,
    keys: tuple[str, ...],
    demanding: tuple[str, ...],
    valid: str,
    wire: tuple[str, ...],
    offline: bool,
    plain_keys: bool,
    passphrase_file: Path | None,
) -> None:
    """Make a Director: keys for each role, the first Root, an empty inventory.

    The Image repository must be reachable and signed under the Root given; --offline skips that check.
    The keys are encrypted under a passphrase, which is asked for unless one is given.

    \b
    Example:
      twinlock director init ./director --image-root root.json --image http://127.0.0.1:8080 --keys root=2/3
      twinlock director init ./director --image-root root.json --image http://127.0.0.1:8080 --wire aktualizr
    """
    from twinlock.director.catalogue.image_site import ask_image_repository, check_location
    from twinlock.director.director import Director
    from twinlock.director.setup.create import check_creation
    from twinlock.repository.keys.keyring import KeyKind, KeyPlan
    from twinlock.repository.workspace.validity import utc_now
    from twinlock.trust.engine.first_contact import check_given_root
    from twinlock.trust.names import IMAGE

    plans = {"time": KeyPlan(kind=KeyKind(kind)), **read_plans(keys, kind, demanding)}
    settings, root = _settings(valid, wire), read_own_file(image_root, "the Image repository's Root")
    check_creation(directory, plans, settings)
    with own_input(given=str(image_root)):
        anchor = check_given_root(IMAGE, root)
    with own_input():
        location = check_location(image)
        warnings = ask_unless(out, lambda: ask_image_repository(location, anchor, utc_now()), offline=offline)
    passphrase = new_passphrase(passphrase_file, plain=plain_keys)
    Director.create(
        directory, image_root=root, image_url=image, passphrase=passphrase, keys=plans, settings=settings, actor=actor()
    ).close()
    note_kinds(out, plans)
    out.result(
        {"created": str(directory), "image": location, "warnings": list(warnings)},
        [
            f"created the Director {directory}",
            f"move {directory / 'keys' / 'offline'} to a medium that you can take offline; it has the Root keys",
            f"next: twinlock director register {directory} DESCRIPTION",
        ],
    )


def _settings(valid: str, wires: tuple[str, ...]) -> Settings:
    from twinlock.director.model.settings import Settings
    from twinlock.repository.workspace.validity import Periods

    period = read_validity(valid)
    periods = Periods(targets=period, snapshot=period, timestamp=period)
    renew = max(1, int(period.total_seconds()) // 4)
    return Settings(periods=periods, renew_before_s=renew, wires=("tuf", *dict.fromkeys(wires)))


@director.command()
@click.argument("directory", type=DIRECTORY)
@click.argument(
    "descriptions", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True), metavar="DESCRIPTION..."
)
@skip_refused_option
@ACTOR
@output_options
def register(out: Output, directory: Path, descriptions: tuple[Path, ...], *, skip_refused: bool) -> None:
    """Register vehicles by their DESCRIPTIONs: files, folders of files, or - for standard input.

    A file may hold one description, or one on each line (JSON lines). Either all vehicles are registered, or none;
    with --skip-refused those that are not refused.

    \b
    Example:
      twinlock primary describe ./gateway --json | twinlock director register ./director -
      twinlock director register ./director ./descriptions/ line-7.jsonl --json
    """
    documents = list(read_documents(descriptions))
    with open_director(directory) as opened:
        if len(documents) == 1 and not descriptions[0].is_dir():
            _register_one(out, opened, *documents[0])
            return
        with out.progress(len(documents), "registering") as advance:
            result = opened.batches.register(documents, skip_refused=skip_refused, advance=advance)
    show_batch(out, result, "registered vehicles")


def _register_one(out: Output, opened: Director, source: str, data: bytes) -> None:
    from twinlock.director.model.vehicle_description import read_description

    with own_input(given=shown_source(Path(source))):
        description = read_description(data)
    with own_input():
        new = opened.register(data)
    text = f"registered {description.vehicle}" if new else f"{description.vehicle} is already registered, unchanged"
    out.result({"vehicle": description.vehicle, "new": new, "ecus": len(description.ecus)}, text)


@director.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicle")
@click.option("--valid", default="1d", show_default=True, help="How long it can be used.")
@ACTOR
@output_options
def token(out: Output, directory: Path, vehicle: str, *, valid: str) -> None:
    """Make a one-time token with which VEHICLE may register itself over HTTP. It is shown only once.

    \b
    Example:
      twinlock director token ./director VIN1 --valid 2h
    """
    with open_director(directory) as opened, own_input():
        made = opened.enrolment_token(vehicle, valid_s=int(read_duration(valid).total_seconds()))
    out.result({"vehicle": vehicle, "token": made}, made)


@director.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("vehicles", nargs=-1, metavar="[VEHICLE]...")
@click.option("--root", "with_root", is_flag=True, help="Publish a Root with a later expiry first.")
@click.option("--force", is_flag=True, help="Sign again whether or not it is due.")
@ACTOR
@passphrase_option
@output_options
def refresh(
    out: Output,
    directory: Path,
    vehicles: tuple[str, ...],
    *,
    with_root: bool,
    force: bool,
    passphrase_file: Path | None,
) -> None:
    """Read the Image repository again, and sign what is due for VEHICLEs (none named: all that are not retired).

    The server does this by itself when a vehicle asks.

    \b
    Example:
      twinlock director refresh ./director --root
    """
    from twinlock.director.errors.vehicles import RetiredVehicleError

    with open_director(directory, passphrase_file) as opened:
        root_version = opened.refresh_root() if with_root else None
        versions = opened.refresh_catalogue()
        names = vehicles or tuple(item.vehicle for item in opened.vehicles() if item.retired_at is None)
        issues = {}
        with out.progress(len(names), "signing") as advance:
            for name in names:
                try:
                    issues[name] = opened.issue(name, force=force)
                except RetiredVehicleError:
                    if vehicles:  # it was named; otherwise it was retired meanwhile
                        raise
                advance(1)
    rows = [
        (name, issue.targets, issue.timestamp, director_orders.when(issue.expires)) for name, issue in issues.items()
    ]
    shown = {
        name: {"targets": issue.targets, "timestamp": issue.timestamp, "expires": issue.expires}
        for name, issue in issues.items()
    }
    lines = [f"the Image repository is at {', '.join(f'{role} {number}' for role, number in versions.items())}"]
    lines += [f"published Root {root_version}"] if root_version else []
    lines += table(("VEHICLE", "TARGETS", "TIMESTAMP", "EXPIRES"), rows) if rows else ["no vehicles"]
    out.result({"image": dict(versions), "root": root_version, "vehicles": shown}, lines)


def _keyring(directory: Path) -> Keyring:
    from twinlock.director.setup.config import read_config
    from twinlock.director.setup.create import open_keyring

    return open_keyring(directory, read_config(directory), None)


def _named(directory: Path) -> Mapping[str, NamedKey]:
    with open_director(directory) as opened:
        return opened.named_keys()


def _record(directory: Path, action: KeyAction, detail: Mapping[str, object]) -> None:
    with open_director(directory) as opened:
        opened.roots.record_key_files(action, detail)


director.add_command(wire)
director.add_command(keys_group("director", "./director", _keyring, _named, extra=("device-ca",), record=_record))
