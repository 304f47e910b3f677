"""``twinlock director rotate`` and ``root``: new keys by a new Root, with the Root keys in one place or in several."""

from __future__ import annotations

from pathlib import Path

import click

from twinlock.cli.director_orders import open_director
from twinlock.cli.image_options import DIRECTORY, FILE, KEY_KINDS, read_plans
from twinlock.cli.output import Output, output_options, yes_option
from twinlock.cli.own_input import own_input
from twinlock.cli.passphrase import passphrase_option
from twinlock.cli.root_signing import publish_hints, root_lines, sign_root_command

ROLES = ("root", "targets", "snapshot", "timestamp", "time")
PROFILES = ("tuf", "aktualizr")


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("roles", nargs=-1, type=click.Choice(ROLES))
@click.option("--keys", metavar="T/N", help="How many new keys, and how many of them must sign; else as it is now.")
@click.option("--kind", type=click.Choice(KEY_KINDS), help="The kind of the new keys; else as it is now.")
@click.option("--prepare", type=FILE, metavar="FILE", help="Only write the next Root to FILE, for others to sign.")
@yes_option
@passphrase_option
@output_options
def rotate(
    out: Output,
    directory: Path,
    roles: tuple[str, ...],
    *,
    keys: str | None,
    kind: str | None,
    prepare: Path | None,
    yes: bool,
    passphrase_file: Path | None,
) -> None:
    """Give each of ROLES new keys, by a new Root. Vehicles get metadata signed with them when they next ask.

    After a theft of the online keys rotate targets, snapshot, timestamp and time together. Where the Root keys are in
    several places, prepare the Root here, and see `twinlock director root`. With --prepare and no ROLES the next Root has
    the same keys and a later expiry: a renewal.

    \b
    Example:
      twinlock director rotate ./director targets snapshot timestamp time
      twinlock director rotate ./director root --keys 2/3 --prepare next-root.json
      twinlock director rotate ./director --prepare next-root.json
    """
    from twinlock.trust.errors.base import UsageError

    if not roles and (prepare is None or keys):
        raise UsageError(reason="name at least one role; without ROLES only --prepare FILE renews Root as it is")
    if kind and not keys:
        raise UsageError(reason="--kind needs --keys: how many of them?")
    plan = read_plans([f"_={keys}"], kind or "ed25519")["_"] if keys else None
    if prepare is not None:
        with open_director(directory, passphrase_file) as opened:
            view = opened.prepare_root(prepare, dict.fromkeys(roles, plan))
        out.result(view, root_lines(view, prepare, "director"))
        return
    out.confirm(f"replace the keys of {', '.join(roles)}", yes=yes)
    with open_director(directory, passphrase_file) as opened:
        version = opened.rotate(*roles, plan=plan)
    out.result({"root": version, "rotated": list(roles)}, f"rotated {', '.join(roles)} by Root {version}")


class _ShownByDefault(click.Group):
    """``director root DIRECTORY`` is short for ``director root show DIRECTORY``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take a first word that names no subcommand for the directory."""
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


root_group.add_command(sign_root_command("director"))


@root_group.command(name="publish")
@click.argument("directory", type=DIRECTORY)
@click.argument("file", type=FILE)
@passphrase_option
@output_options
def publish_root_command(out: Output, directory: Path, file: Path, *, passphrase_file: Path | None) -> None:
    """Publish a Root that has all its signatures. Vehicles get metadata signed by its keys when they next ask.

    \b
    Example:
      twinlock director root publish ./director next-root.json
    """
    with open_director(directory, passphrase_file) as opened, own_input(hints=publish_hints("director", file)):
        version = opened.publish_root(file)
    out.result({"root": version}, f"published Root {version}")


@root_group.command(name="show")
@click.argument("directory", type=DIRECTORY)
@click.option("--version", type=click.IntRange(1), help="An earlier Root than the newest.")
@click.option("--wire", type=click.Choice(PROFILES), default="tuf", show_default=True, help="The wire profile.")
@click.option("--output", type=FILE, help="Write the file here instead of to standard output.")
@output_options
def show_root_command(out: Output, directory: Path, *, version: int | None, wire: str, output: Path | None) -> None:
    """Give out the Root that a vehicle is built with.

    \b
    Example:
      twinlock director root show ./director --output director-root.json
      twinlock director root show ./director --wire aktualizr --output import/director/root.json
    """
    with open_director(directory) as opened:
        data = opened.root_bytes(version, wire=wire)
    if output is not None:
        output.write_bytes(data)
    text = data.decode() if output is None else f"wrote {output}"
    out.result({"root": data.decode(), "output": str(output) if output else None}, text)


COMMANDS = (rotate, root_group)
