"""Root with keys in several places: signing a prepared one, and publishing one that is complete, at either repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinlock.cli.shared.counts import counted
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.options import DIRECTORY, EXISTING_DIRECTORY, FILE
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.own_input import own_input, read_own_file
from twinlock.cli.shared.passphrase import passphrase_for, passphrase_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from twinlock.repository.model.views import RoleChange, RootView
    from twinlock.repository.publishing.root_cancelling import CancelledRoot
    from twinlock.repository.publishing.root_signing import RootToSign


def sign_root_command(party: str) -> click.Command:
    """``twinlock PARTY root sign``."""

    @click.command(
        name="sign",
        help="Add the signatures of the Root keys in a directory to a prepared Root. Nothing else is needed.\n\n"
        "It shows every role, its keys and its threshold, those of the time source included, and what differs from the "
        "Root in force. Compare that; it signs once you agree.\n\n"
        f"\b\nExample:\n  twinlock {party} root sign next-root.json --keys /media/key-2",
    )
    @click.argument("file", type=FILE)
    @click.option(
        "--keys", type=EXISTING_DIRECTORY, required=True, help="The directory of the Root keys that are here."
    )
    @click.option("--previous", type=FILE, help="The Root it follows (default: the one in FILE).")
    @passphrase_option
    @yes_option
    @output_options
    def sign(
        out: Output, file: Path, *, keys: Path, previous: Path | None, passphrase_file: Path | None, yes: bool
    ) -> None:
        from twinlock.repository.keys.keyring import Keyring
        from twinlock.repository.publishing.root_signing import root_to_sign
        from twinlock.trust.names import RepositoryName

        ring = Keyring(offline=keys, passphrase=passphrase_for(passphrase_file))
        with own_input():
            before = read_own_file(previous, "the Root before it") if previous else None
            prepared = root_to_sign(file, ring, previous=before, repository=RepositoryName(party))
            for line in _lines_to_judge(prepared, party):
                out.note(line)
        signers = f"{counted(len(prepared.keyids), 'key')} in {keys} ({_short(prepared.keyids)})"
        out.confirm(
            f"sign Root {prepared.view.version} with {signers}", yes=yes, undo="A signature cannot be withdrawn."
        )
        with own_input():
            view = prepared.sign()
        out.result(view, root_lines(view, file, party))

    return sign


def _lines_to_judge(prepared: RootToSign, party: str) -> Iterator[str]:
    """What a person judges before signing: the Root, and what it changes."""
    view = prepared.view
    yield f"Root {view.version} of the {party.capitalize()} repository in {prepared.path}, to be signed:"
    yield from _role_lines(view)
    yield f"changes against Root {prepared.before.version}, which is in force:"
    yield f"  {_expiry_words(prepared.before.expires, view.expires)}"
    for change in prepared.changes:
        yield f"  {change.role}: {'; '.join(_change_words(change))}"
    if not prepared.changes:
        yield "  no key and no threshold changes"
    if prepared.other:
        yield f"  other members that differ: {', '.join(map(foreign, prepared.other))}"


def _expiry_words(before: datetime, after: datetime) -> str:
    if before == after:
        return f"expires {after:%Y-%m-%d}, unchanged"
    form = "%Y-%m-%d" if before.date() != after.date() else "%Y-%m-%dT%H:%M:%SZ"
    return f"expires {after.strftime(form)}; it was {before.strftime(form)}"


def _change_words(change: RoleChange) -> Iterator[str]:
    (old, new), (demanded, demands) = change.threshold, change.post_quantum
    if change.added:
        yield f"adds {_short(change.added)}"
    if change.removed:
        yield f"removes {_short(change.removed)}"
    if old != new:
        yield f"threshold {old or 'none'} becomes {new or 'none'}"
    if demanded != demands:
        yield "begins to demand a post-quantum signature" if demands else "no longer demands a post-quantum signature"


def _short(keyids: Iterable[str]) -> str:
    return ", ".join(keyid[:12] for keyid in keyids)


def publish_root_command(
    party: str, effect: str, publish: Callable[..., None], *options: Callable[[click.Command], click.Command]
) -> click.Command:
    """``twinlock PARTY root publish``, which calls ``publish(out, directory, file, passphrase_file, **options)``.

    ``effect`` is the sentence of the help on what else it does.
    """

    @click.command(
        name="publish",
        help=f"Publish a Root that has all its signatures. {effect}\n\n"
        f"\b\nExample:\n  twinlock {party} root publish ./{party} next-root.json",
    )
    @click.argument("directory", type=DIRECTORY)
    @click.argument("file", type=FILE)
    @passphrase_option
    @output_options
    def command(out: Output, directory: Path, file: Path, *, passphrase_file: Path | None, **more: Any) -> None:
        publish(out, directory, file, passphrase_file, **more)

    for option in options:
        option(command)
    return command


def quorum(threshold: int, count: int, *, post_quantum: bool) -> str:
    """How many of a role's keys must sign, for people."""
    return f"{threshold} of {count}" + (", one ml-dsa" if post_quantum else "")


def publish_hints(party: str, file: Path) -> dict[str, str]:
    """Remedies for a prepared Root that cannot be published, by the code of the refusal."""
    return {
        "threshold": f"other holders of Root keys sign it first: `twinlock {party} root sign {file} --keys DIRECTORY`",
        "rollback": f"another Root of that number is already published; prepare the next one: `twinlock {party} rotate --prepare`",
        "root-version": f"the prepared Root does not follow the published one; prepare it again: `twinlock {party} rotate --prepare`",
        "expired": f"end it with `twinlock {party} root cancel DIRECTORY {file}`, then prepare the next one: "
        f"`twinlock {party} rotate --prepare FILE`",
    }


def root_lines(view: RootView, file: Path, party: str = "image") -> Iterator[str]:
    """A prepared Root, for people."""
    from twinlock.trust.text.times import format_time

    issued = f"issued {format_time(view.issued)}, " if view.issued else ""
    yield f"Root {view.version}, {issued}valid until {view.expires:%Y-%m-%d}, in {file}"
    yield from _role_lines(view)
    yield f"signed by {_short(view.signed) or 'no key yet'}"
    yield (
        f"lacks {counted(view.missing, 'signature')}"
        + (", one of them by an ml-dsa key" if view.lacks_post_quantum else "")
        if view.missing
        else f"complete; publish it with twinlock {party} root publish"
    )


def _role_lines(view: RootView) -> list[str]:
    rows = [
        (
            role,
            quorum(view.thresholds[role], len(keyids), post_quantum=role in view.post_quantum),
            _short(keyids),
        )
        for role, keyids in view.keys.items()
    ]
    return table(("ROLE", "MUST SIGN", "KEYS"), rows)


def cancel_root_command(
    party: str, cancel: Callable[[Path, Path], CancelledRoot], *options: Callable[[click.Command], click.Command]
) -> click.Command:
    """``twinlock PARTY root cancel``. ``cancel`` gets the directory and the file."""

    @click.command(
        name="cancel",
        help="End the signing of a prepared Root that lacks signatures or has expired. FILE is the copy that collected signatures.\n\n"
        "The keys that were made for it are kept in `retired`: a copy with all signatures may exist elsewhere, and a vehicle "
        "that accepts it follows only these. A Root that has all its signatures is published instead; once it has expired it can "
        "be cancelled.\n\n"
        f"\b\nExample:\n  twinlock {party} root cancel ./{party} next-root.json",
    )
    @click.argument("directory", type=DIRECTORY)
    @click.argument("file", type=FILE)
    @yes_option
    @output_options
    def cancel_root(out: Output, directory: Path, file: Path, *, yes: bool) -> None:
        out.confirm(f"end the signing of the Root in {file}, which is then never published here", yes=yes)
        with own_input():
            cancelled = cancel(directory, file)
        lines = [f"Root {cancelled.root} is no longer prepared; have every copy of its file destroyed"]
        lines += [f"kept the key {keyid} in `retired`" for keyid in cancelled.kept]
        # Earlier versions destroyed keys here, and programs read which: none.
        shown = {"root": cancelled.root, "destroyed": [], "kept": list(cancelled.kept)}
        out.result(shown, lines)

    for option in options:
        option(cancel_root)
    return cancel_root
