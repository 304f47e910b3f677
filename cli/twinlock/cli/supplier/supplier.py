"""``twinlock supplier``: a supplier's workspace, from the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.image.add import AddArguments, add_options, stage
from twinlock.cli.image.aktualizr import PROFILES
from twinlock.cli.shared.counts import counted
from twinlock.cli.shared.options import (
    DIRECTORY,
    KEY_KINDS,
    DelegationArguments,
    delegation_options,
    read_plans,
    read_validity,
)
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import new_passphrase, passphrase_for, passphrase_option, plain_keys_option
from twinlock.cli.signing.client_support import demand_note, note_kinds
from twinlock.cli.signing.keys import keys_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twinlock.repository.keys.keyring import Keyring
    from twinlock.repository.model.views import SupplierView
    from twinlock.repository.signing.named_keys import NamedKey
    from twinlock.repository.suppliers.workspace import SupplierWorkspace


@click.group()
def supplier() -> None:
    """Sign images that were delegated to you, with your own keys, in your own workspace.

    \b
    Example:
      twinlock supplier init ./acme --role acme
      twinlock supplier add ./acme build/lidar.bin acme/lidar-1.0.bin --hardware-id hw-9 --release-counter 1
      twinlock supplier sign ./acme
    """


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--role", required=True, help="The name that images are delegated to.")
@click.option(
    "--keys", default="1/1", show_default=True, metavar="T/N[:KIND[+KIND]]", help="N keys of which T must sign."
)
@click.option("--kind", type=click.Choice(KEY_KINDS), default="ed25519", show_default=True, help="The kind of keys.")
@click.option(
    "--valid", default="52w", show_default=True, metavar="DURATION", help="How long what is signed stays valid."
)
@click.option("--wire", "wires", type=click.Choice(PROFILES), multiple=True, help="Sign in this wire profile too.")
@plain_keys_option
@passphrase_option
@output_options
def init(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    *,
    role: str,
    keys: str,
    kind: str,
    valid: str,
    wires: tuple[str, ...],
    plain_keys: bool,
    passphrase_file: Path | None,
) -> None:
    """Make a workspace with keys, and a file of the public keys for your delegator.

    The keys are encrypted under a passphrase, which is asked for unless one is given.

    \b
    Example:
      twinlock supplier init ./acme --role acme
      twinlock supplier init ./acme --role acme --wire aktualizr
    """
    from twinlock.repository.suppliers.workspace import SupplierWorkspace, check_creation
    from twinlock.trust.names import role_file

    plans, valid_for = read_plans([f"_={keys}"], kind), read_validity(valid)
    with own_input(given="--role"):
        role_file(role)
    with own_input():
        check_creation(directory, role, plans["_"], wires)
        passphrase = new_passphrase(passphrase_file, plain=plain_keys)
        place = SupplierWorkspace.create(
            directory, role=role, plan=plans["_"], passphrase=passphrase, valid_for=valid_for, wires=wires
        )
    note_kinds(out, plans)
    out.result(
        {"created": str(directory), "role": role, "publicKeyFile": str(place.public_key_file)},
        [
            f"created the supplier's workspace {directory} for {role}",
            f"give {place.public_key_file} to the owner of the Image repository; private keys stay in {place.keyring.offline}",
        ],
    )


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@add_options
@click.option("--replace", is_flag=True, help="The names are already listed; replace their bytes.")
@output_options
def add(out: Output, directory: Path, *, wanted: AddArguments, replace: bool) -> None:
    """Stage images: one file SOURCE listed as NAME, files and directories --into a folder, or a --manifest.

    All images of one call are staged, or none. Manifests are as in `twinlock image add`.

    \b
    Example:
      twinlock supplier add ./acme build/lidar.bin acme/lidar-1.0.bin --hardware-id hw-9 --release-counter 1
      twinlock supplier add ./acme build/maps --into acme/maps --hardware-id hw-9 --release-counter 4
      make-release | twinlock supplier add ./acme --manifest - --json
    """
    stage(out, _open(directory, None), wanted, replace=replace)


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("name")
@yes_option
@output_options
def remove(out: Output, directory: Path, name: str, *, yes: bool) -> None:
    """Remove an image from the next signed file.

    \b
    Example:
      twinlock supplier remove ./acme acme/lidar-0.9.bin --yes
    """
    place = _open(directory, None)
    with own_input():
        place.check_listed(name)
        out.confirm(f"remove {name} from {directory}", yes=yes)
        place.remove_image(name)
    out.result({"removed": name}, f"staged the removal of {name}; sign to put it into the outbox")


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@delegation_options
@click.option("--outbox", type=DIRECTORY, required=True, help="What your own supplier signed.")
@output_options
def delegate(out: Output, directory: Path, *, delegation: DelegationArguments, outbox: Path) -> None:
    """Delegate further, to a supplier of your own, and pass on what it signed.

    \b
    Example:
      twinlock supplier delegate ./acme sub --key sub.pub.json --path "acme/sub/*" --outbox ./sub/outbox
    """
    from twinlock.trust.errors.metadata import UnsafePathError, WeakKeyError

    with own_input(UnsafePathError, WeakKeyError):
        _open(directory, None).delegate(delegation.role, outbox=outbox, **delegation.stated())
    if delegation.post_quantum:
        out.note(demand_note([delegation.role]))
    out.result(
        {"staged": {"delegation": delegation.role}},
        f"staged the delegation to {delegation.role}; sign to put it into the outbox",
    )


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--above", type=click.IntRange(0), default=0, help="Sign above this version, if this workspace lost its own."
)
@passphrase_option
@output_options
def sign(out: Output, directory: Path, *, above: int, passphrase_file: Path | None) -> None:
    """Sign everything that is listed under a new version, into the outbox.

    \b
    Example:
      twinlock supplier sign ./acme
    """
    place = _open(directory, passphrase_file)
    version = place.sign(above=above)
    out.result(
        {"role": place.role, "version": version, "outbox": str(place.outbox.root)},
        f"signed version {version} of {place.role}; hand over {place.outbox.root}",
    )


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("profile", type=click.Choice(PROFILES))
@yes_option
@output_options
def wire(out: Output, directory: Path, *, profile: str, yes: bool) -> None:
    """Sign in the wire profile PROFILE too, from the next signing on: as an owner with such vehicles requires.

    \b
    Example:
      twinlock supplier wire ./acme aktualizr
    """
    place = _open(directory, None)
    out.confirm(f"sign for {profile} from now on", yes=yes)
    place.sign_for_aktualizr()
    out.result(
        {"role": place.role, "profile": profile},
        f"{place.role} signs for {profile} too; run twinlock supplier sign {directory} and hand over the outbox",
    )


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@passphrase_option
@yes_option
@output_options
def rotate(out: Output, directory: Path, *, passphrase_file: Path | None, yes: bool) -> None:
    """Replace the keys, and sign everything that is listed with the new ones.

    Your delegator must delegate again, to the new public keys, and accept the outbox. Until then
    vehicles keep using what the old keys signed.

    \b
    Example:
      twinlock supplier rotate ./acme --yes
    """
    place = _open(directory, passphrase_file)
    out.confirm(f"replace the keys of {place.role}", yes=yes)
    version = place.rotate()
    out.result(
        {"role": place.role, "version": version, "publicKeys": str(place.public_key_file)},
        f"signed version {version} of {place.role} with new keys; hand over {place.public_key_file} and "
        f"{place.outbox.root}",
    )


@supplier.command()
@click.argument("directory", type=DIRECTORY)
@output_options
def show(out: Output, directory: Path) -> None:
    """List images, staged edits included, and what was signed last.

    \b
    Example:
      twinlock supplier show ./acme --json
    """
    view = _open(directory, None).show()
    out.result(view, _show_lines(view))


def _show_lines(view: SupplierView) -> Iterator[str]:
    signed = f"version {view.version}, valid until {view.expires:%Y-%m-%d}" if view.expires else "nothing signed yet"
    yield f"{view.role}: {signed}; {view.threshold} of {counted(len(view.keyids), 'key')} must sign"
    if view.unsigned_changes:
        yield "some changes are not signed yet"
    rows = [(entry.path, entry.release_counter, ",".join(entry.hardware_ids), entry.length) for entry in view.images]
    yield from table(("IMAGE", "RELEASE", "HARDWARE", "BYTES"), rows) if rows else ["no images"]
    for delegation in view.delegations:
        yield f"delegates {' '.join(delegation.paths)} to {delegation.name}"


def _keyring(directory: Path) -> Keyring:
    return _open(directory, None).keyring


def _named(directory: Path) -> Mapping[str, NamedKey]:
    return _open(directory, None).named_keys()


supplier.add_command(keys_group("supplier", "./acme", _keyring, _named))


def _open(directory: Path, passphrase_file: Path | None) -> SupplierWorkspace:
    from twinlock.repository.suppliers.workspace import SupplierWorkspace

    return SupplierWorkspace.open(directory, passphrase=passphrase_for(passphrase_file))
