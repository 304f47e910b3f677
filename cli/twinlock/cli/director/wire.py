"""The command ``twinlock director wire``: Roots for clients of another wire profile, and the hand-over of their chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.shared.actor import ACTOR, actor
from twinlock.cli.shared.options import DIRECTORY, EXISTING_DIRECTORY
from twinlock.cli.shared.output import Output, output_options, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import old_keys_option, old_keys_passphrase, passphrase_for, passphrase_option

if TYPE_CHECKING:
    from datetime import datetime

    from twinlock.director.model.profiles import OldChain
    from twinlock.repository.keys.private_keys import Passphrase

WIRES = ("aktualizr",)  # in addition to tuf, which is always published


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("profile", type=click.Choice(WIRES))
@click.option(
    "--go-on-from", "old", type=DIRECTORY, help="Another Director's files, whose Roots deployed vehicles trust."
)
@click.option(
    "--new-chain", is_flag=True, help="Begin a new chain although vehicles of the profile are registered (see below)."
)
@click.option(
    "--keys", type=EXISTING_DIRECTORY, help="Its private Root keys: root/private.key, or PEM files in one directory."
)
@click.option(
    "--hand-over", is_flag=True, help="Give the chain Root keys of its own, if it shares those of the tuf chain."
)
@click.option(
    "--until",
    type=click.DateTime(("%Y-%m-%d",)),
    help="With --hand-over: the last day on which the old Root keys sign for stranded vehicles (default: two years).",
)
@ACTOR
@old_keys_option
@yes_option
@passphrase_option
@output_options
def wire(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    profile: str,
    *,
    old: Path | None,
    keys: Path | None,
    keys_file: Path | None,
    new_chain: bool,
    hand_over: bool,
    until: datetime | None,
    yes: bool,
    passphrase_file: Path | None,
) -> None:
    """Publish Roots in another wire PROFILE too, from version 1 on, so that its clients can be served.

    The Root keys must be here; the profile gets as many of its own. Every key that Root names, except its own and that of
    the time source, must be of a kind that these clients read. With --go-on-from it continues the Root chain of another Director:
    the old Roots stay as they are, and the next one, signed by its keys and the profile's own, leads vehicles that trust it to
    this Director. Old keys that are encrypted are opened with the passphrase of --keys-passphrase-file.

    Vehicles that trust a Root of another Director can never follow a new chain. So a new one is refused while vehicles of the
    profile are registered, such as by `enter-aktualizr`; use --new-chain only if none of them trusts such a Root.

    A Director that began the profile with an earlier version shares its Root keys with the tuf chain. --hand-over gives it
    its own; until then keys cannot be rotated. docs/cross-profile-roots.md explains why.

    \b
    Example:
      twinlock director wire ./director aktualizr
      twinlock director wire ./director aktualizr --go-on-from ./old/repo/director --keys ./old/keys/director
      twinlock director wire ./director aktualizr --hand-over --until 2028-12-31
    """
    from twinlock.director.director import Director
    from twinlock.trust.errors.base import UsageError

    if (old is None) != (keys is None):
        raise UsageError(reason="--go-on-from and --keys must be given together")
    if keys_file is not None and keys is None:
        raise UsageError(reason="--keys-passphrase-file needs --keys")
    if new_chain and (hand_over or old is not None):
        raise UsageError(reason="--new-chain begins a chain; omit --go-on-from and --hand-over")
    if hand_over and old is not None:
        raise UsageError(reason="--hand-over is for a chain that this Director already publishes; omit --go-on-from")
    if until is not None and not hand_over:
        raise UsageError(reason="--until needs --hand-over")
    out.confirm(_question(profile, old, hand_over=hand_over), yes=yes)
    passphrase = passphrase_for(passphrase_file)
    with Director.open(directory, passphrase=passphrase, actor=actor()) as opened:
        if hand_over:
            version = opened.hand_over(until.date() if until else None)
            text = f"the Root chain for {profile} has keys of its own; the newest is {version}"
            out.result({"wire": profile, "root": version}, text)
            return
        with own_input():
            chain = _old_chain(old, keys, keys_file, passphrase)
            version = opened.add_wire(profile, continue_from=chain, new_chain=new_chain)
    out.result({"wire": profile, "root": version}, f"Roots are published for {profile} too; the newest is {version}")


def _question(profile: str, old: Path | None, *, hand_over: bool) -> str:
    if hand_over:
        return f"give the Root chain for {profile} keys of its own"
    chain = "" if old is None else f", as the next of the old Director whose Roots are in {old}"
    return f"publish Roots for {profile} from now on{chain}"


def _old_chain(roots: Path | None, keys: Path | None, keys_file: Path | None, own: Passphrase) -> OldChain | None:
    from twinlock.director.model.profiles import OldChain

    if roots is None or keys is None:
        return None
    return OldChain(roots=roots, keys=keys, passphrase=old_keys_passphrase(keys_file, own))
