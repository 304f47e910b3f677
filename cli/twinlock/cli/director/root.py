"""``twinlock director rotate`` and ``root``: new keys by a new Root, with the Root keys in one place or in several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.director.orders import open_director
from twinlock.cli.shared.actor import ACTOR
from twinlock.cli.shared.options import (
    DEMAND_OF_ROTATION,
    DIRECTORY,
    FILE,
    KEY_KINDS,
    REPLACED_KEYS,
    read_replacement,
    read_rotation,
)
from twinlock.cli.shared.output import Output, Verbatim, output_options, table, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import passphrase_option
from twinlock.cli.signing.client_support import note_kinds
from twinlock.cli.signing.root_commands import (
    cancel_root_command,
    publish_hints,
    publish_root_command,
    quorum,
    root_lines,
    sign_root_command,
)

if TYPE_CHECKING:
    from twinlock.director.director import Director
    from twinlock.repository.publishing.root_cancelling import CancelledRoot

ROLES = ("root", "targets", "snapshot", "timestamp", "time")
PROFILES = ("tuf", "aktualizr")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("roles", nargs=-1, type=click.Choice(ROLES))
@click.option(
    "--keys",
    metavar="T/N[:KIND[+KIND]]",
    help="How many new keys, and how many of them must sign (default: unchanged).",
)
@click.option("--kind", type=click.Choice(KEY_KINDS), help="The kind of the new keys (default: unchanged).")
@DEMAND_OF_ROTATION
@REPLACED_KEYS
@click.option("--prepare", type=FILE, metavar="FILE", help="Only write the next Root to FILE, for others to sign.")
@ACTOR
@yes_option
@passphrase_option
@output_options
def rotate(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    roles: tuple[str, ...],
    *,
    keys: str | None,
    kind: str | None,
    demand: bool | None,
    replaced: tuple[str, ...],
    prepare: Path | None,
    yes: bool,
    passphrase_file: Path | None,
) -> None:
    """Replace the keys of ROLES through a new Root. Vehicles get metadata signed with these keys at their next request.

    After a theft of the online keys, rotate targets, snapshot, timestamp and time together. Where the Root keys are in
    several places, prepare the Root here, and see `twinlock director root`. With --prepare and no ROLES the next Root has
    the same keys and a later expiry: a renewal.

    Without --keys each role gets the same number and kinds of keys. T/N accepts the kinds of its last keys too, as in
    2/3:ed25519+ml-dsa-65: two of the first kind, one of the other.

    \b
    Example:
      twinlock director rotate ./director targets snapshot timestamp time
      twinlock director rotate ./director root --keys 2/3 --prepare next-root.json
      twinlock director rotate ./director root --keys 2/3:ed25519+ml-dsa-65 --demand-post-quantum
      twinlock director rotate ./director root --replace 6c2d68e6171e22bf --prepare next-root.json
      twinlock director rotate ./director --prepare next-root.json
    """
    from twinlock.trust.errors.base import UsageError

    if not roles and (prepare is None or keys):
        raise UsageError(reason="name at least one role; without ROLES only --prepare FILE renews Root unchanged")
    plan = read_rotation(roles, keys=keys, kind=kind, demand=demand)
    if replaced:
        with open_director(directory, passphrase_file) as opened:
            known = {role.name: role.keyids for role in opened.roots.roles()}
            plan = read_replacement(roles, replaced, plan=plan, now=opened.roots.plan_of, known=known)
    note_kinds(out, dict.fromkeys(roles, plan) if plan else {})
    if prepare is not None:
        with open_director(directory, passphrase_file) as opened:
            _note_old_inventory(out, opened)
            view = opened.prepare_root(prepare, dict.fromkeys(roles, plan))
        out.result(view, root_lines(view, prepare, "director"))
        return
    with open_director(directory, passphrase_file) as opened:
        _note_old_inventory(out, opened)
        out.confirm(f"replace the keys of {', '.join(roles)}", yes=yes)
        version = opened.rotate(*roles, plan=plan)
    out.result({"root": version, "rotated": list(roles)}, f"rotated {', '.join(roles)} by Root {version}")


def _note_old_inventory(out: Output, opened: Director) -> None:
    """Warn where vehicles may have a newer Root than the inventory: they refuse another one of the same version."""
    revoked = opened.roots.revoked_keys_in_force()
    if revoked:
        out.note(
            f"warning: a newer Root than the one in this inventory revoked the key {revoked[0][:16]}, which is in the directory "
            "`retired`: the inventory is an old copy. Vehicles refuse a second Root of a version that they have; rotate until "
            'the version is above every one that was published (see "Backups" in docs/operations.md)'
        )


class _ShownByDefault(click.Group):
    """``director root DIRECTORY`` is short for ``director root show DIRECTORY``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Treat a first word that is not a subcommand as the directory."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


@click.group(name="root", cls=_ShownByDefault)
def root_group() -> None:
    """Root: show it, and sign and publish one whose keys are in several places.

    \b
    Example:
      twinlock director rotate ./director root --keys 2/3 --prepare next-root.json
      twinlock director root sign next-root.json --keys /media/key-2
      twinlock director root publish ./director next-root.json
    """


def _publish(out: Output, directory: Path, file: Path, passphrase_file: Path | None) -> None:
    with open_director(directory, passphrase_file) as opened, own_input(hints=publish_hints("director", file)):
        before = opened.root_bytes()
        version = opened.publish_root(file)
        changed = opened.root_bytes() != before
    text = f"published Root {version}" if changed else f"Root {version} is already published; nothing was changed"
    out.result({"root": version, "changed": changed}, text)


root_group.add_command(sign_root_command("director"))
root_group.add_command(
    publish_root_command("director", "Vehicles get metadata signed by its keys at their next request.", _publish, ACTOR)
)


@root_group.command(name="roles")
@click.argument("directory", type=DIRECTORY)
@output_options
def show_roles_command(out: Output, directory: Path) -> None:
    """List the signers in the newest Root: how many keys of each role must sign, their schemes, and how many are here.

    \b
    Example:
      twinlock director root roles ./director
    """
    with open_director(directory) as opened:
        roles = opened.roots.roles()
    rows = [
        (
            role.name,
            quorum(role.threshold, len(role.keyids), post_quantum=role.post_quantum),
            ", ".join(role.schemes),
            role.held,
        )
        for role in roles
    ]
    out.result({"roles": roles}, table(("ROLE", "MUST SIGN", "SCHEMES", "KEYS HERE"), rows))


def _cancel(directory: Path, file: Path) -> CancelledRoot:
    with open_director(directory) as opened:
        return opened.cancel_root(file)


root_group.add_command(cancel_root_command("director", _cancel, ACTOR))


@root_group.command(name="show")
@click.argument("directory", type=DIRECTORY)
@click.option("--version", type=click.IntRange(1), help="The version to print instead of the newest.")
@click.option("--wire", type=click.Choice(PROFILES), default="tuf", show_default=True, help="The wire profile.")
@click.option("--output", type=FILE, help="Write the file here instead of to standard output.")
@click.option("--overwrite", is_flag=True, help="With --output: replace another file that is there.")
@output_options
def show_root_command(
    out: Output, directory: Path, *, version: int | None, wire: str, output: Path | None, overwrite: bool
) -> None:
    """Print the Root that a vehicle is built with. A file that already holds this Root is left unchanged.

    \b
    Example:
      twinlock director root show ./director --output director-root.json
      twinlock director root show ./director --wire aktualizr --output import/director/root.json
    """
    from twinlock.trust.errors.base import UsageError

    if overwrite and output is None:
        raise UsageError(reason="--overwrite needs --output")
    with open_director(directory) as opened:
        data = opened.root_bytes(version, profile=wire)
    if output is not None:
        _write_root(output, data, overwrite=overwrite)
    text = Verbatim(data.decode()) if output is None else f"wrote {output}"
    out.result({"root": data.decode(), "output": str(output) if output else None}, text)


def _write_root(output: Path, data: bytes, *, overwrite: bool) -> None:
    """Raises: OutputFileError if ``output`` holds another Root or anything else; UsageError without its directory."""
    from twinlock.cli.shared.errors import OutputFileError
    from twinlock.io.files.durable import create_file, replace_file
    from twinlock.io.files.operator_files import check_directory_of

    if output.exists() and not output.is_file():  # a device or a pipe, such as /dev/stdout, has nothing to lose
        output.write_bytes(data)
        return
    place = output.resolve()  # a link stays one
    check_directory_of(place, "the Root")
    if overwrite:
        replace_file(place, data)
    elif not create_file(place, data) and place.read_bytes() != data:
        raise OutputFileError(path=str(output))


COMMANDS = (rotate, root_group)
