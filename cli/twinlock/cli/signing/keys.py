"""The commands ``keys list``, ``keys mark`` and ``keys passphrase``, alike for every party that holds private keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from twinlock.cli.shared.actor import ACTOR
from twinlock.cli.shared.counts import counted, have
from twinlock.cli.shared.options import DIRECTORY
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.passphrase import change_options, new_secret, opened_secrets, passphrase_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twinlock.repository.keys.keyring import KeyRecord, Keyring
    from twinlock.repository.signing.named_keys import NamedKey

_ROOTS = ("root", "aktualizr-root")
OpenKeyring = Callable[[Path], "Keyring"]
FindNamed = Callable[[Path], "Mapping[str, NamedKey]"]
Record = Callable[[Path, "KeyAction", "Mapping[str, object]"], None]
KeyAction = Literal["mark", "passphrase"]
Command = TypeVar("Command", bound=Callable[..., object])


def keys_group(
    party: str,
    example: str,
    open_keyring: OpenKeyring,
    named: FindNamed,
    *,
    extra: tuple[str, ...] = (),
    record: Record | None = None,
) -> click.Group:
    """The group ``keys`` of ``twinlock PARTY``. ``extra`` are directories below its own that hold online keys too.

    ``named`` are the keys that its published metadata name; ``record`` puts what changes keys into the audit, if it has one.
    """

    @click.group(name="keys", help=f"Where the private keys are, and their passphrase.\n\n{_example(party, example)}")
    def group() -> None:
        pass

    _add_list(group, f"{party} keys list {example}", open_keyring, named)
    _add_mark(group, f"{party} keys mark {example} 6c2d68e6171e22bf lost", open_keyring, named, record)
    _add_passphrase(group, f"{party} keys passphrase {example} --only online", open_keyring, extra, record)
    return group


def _audited(record: Record | None) -> Callable[[Command], Command]:
    """``--actor``, where an audit keeps it."""
    return (lambda command: command) if record is None else ACTOR


def _example(party: str, example: str) -> str:
    return f"\b\nExample:\n  twinlock {party} keys list {example}"


def _add_list(group: click.Group, example: str, open_keyring: OpenKeyring, named: FindNamed) -> None:
    @group.command(
        name="list",
        help="List the keys on record here, and those that published metadata name.\n\n"
        "A key that is not in use was prepared for a Root that is not published, or replaced.\n\n"
        f"\b\nExample:\n  twinlock {example}",
    )
    @click.argument("directory", type=DIRECTORY)
    @output_options
    def list_command(out: Output, directory: Path) -> None:
        used = named(directory)
        records = _known_and_named(open_keyring(directory), used)
        shown = [
            {
                "keyid": record.keyid,
                "role": record.role,
                "keytype": record.keytype,
                "scheme": record.scheme,
                "availability": record.availability,
                "inUse": record.keyid in used,
            }
            for record in records
        ]
        rows = [
            (
                record.role,
                record.keyid[:16],
                record.scheme,
                record.availability.value,
                "in use" if record.keyid in used else "not in use",
            )
            for record in records
        ]
        header = ("ROLE", "KEY", "SCHEME", "PRIVATE HALF", "PUBLISHED")
        out.result({"keys": shown}, table(header, rows) if rows else "no keys")


def _known_and_named(ring: Keyring, used: Mapping[str, NamedKey]) -> tuple[KeyRecord, ...]:
    """The keys on record here, then those that are only named by published metadata: their private halves are elsewhere."""
    records = ring.records()
    known = {record.keyid for record in records}
    return (*records, *(ring.describe(each.role, each.key) for keyid, each in used.items() if keyid not in known))


def _add_mark(
    group: click.Group, example: str, open_keyring: OpenKeyring, named: FindNamed, record: Record | None
) -> None:
    @group.command(
        name="mark",
        help="Record that the private half of a key is lost, or that it was found. KEYID may be shortened.\n\n"
        "A lost key signs nothing and counts as absent; thresholds stay as they are, and metadata name the key until "
        "`rotate` replaces it. A file that is merely not here needs "
        f"no mark.\n\n\b\nExample:\n  twinlock {example}",
    )
    @click.argument("directory", type=DIRECTORY)
    @click.argument("keyid")
    @click.argument("state", type=click.Choice(("lost", "found")))
    @_audited(record)
    @yes_option
    @output_options
    def mark_command(out: Output, directory: Path, keyid: str, state: str, *, yes: bool) -> None:
        from twinlock.cli.shared.errors import AmbiguousIdError

        ring = open_keyring(directory)
        used = named(directory)
        records = _known_and_named(ring, used)
        matching = [known for known in records if known.keyid.startswith(keyid)]
        if len(matching) != 1:
            raise AmbiguousIdError(given=keyid, matches=len(matching), among="keys here; see `keys list`")
        marked = matching[0].keyid
        if state == "lost":
            out.confirm(_loss(matching[0], records, used), yes=yes, undo="`keys mark` with `found` undoes it.")
        if record is not None:
            record(directory, "mark", {"key": marked, "role": matching[0].role, "state": state})
        if not ring.known([marked]):
            ring.note(used[marked].role, used[marked].key)
        key = ring.mark(marked, lost=state == "lost")
        text = f"{key.keyid[:16]} ({key.role}): {key.availability.value}"
        out.result({"keyid": key.keyid, "role": key.role, "availability": key.availability}, text)


def _loss(lost: KeyRecord, records: Iterable[KeyRecord], used: Mapping[str, NamedKey]) -> str:
    """What the loss of a key leads to."""
    what = f"record that the key {lost.keyid[:16]} ({lost.role}) is lost: it no longer signs anything"
    if lost.keyid not in used:
        return f"{what}. No published metadata name it"
    role = used[lost.keyid].role
    left = [
        record
        for record in records
        if record.keyid in used.keys() - {lost.keyid}
        and used[record.keyid].role == role
        and record.availability.value != "lost"
    ]
    return f"{what}. {_what_is_left(role, len(left), used[lost.keyid].threshold)}"


def _what_is_left(role: str, left: int, threshold: int | None) -> str:
    """Whether ``left`` keys can still sign for ``role``, and what helps where they cannot."""
    if threshold is None:
        return f"{role} has {counted(left, 'other key')}; ask the delegator how many have to sign"
    have_to = f"{role} has {counted(left, 'other key')}, and {threshold} must sign"
    if left >= threshold:
        return f"{have_to}: that is enough, and `rotate` replaces the lost one"
    if role in _ROOTS:
        return (
            f"{have_to}: no next Root can be signed, so no key can be replaced, and vehicles refuse everything once this Root "
            'expires; see "When a key is lost or stolen" in docs/operations.md'
        )
    return f"{have_to}: nothing can be signed for {role} until its keys are replaced (`rotate`, or a new delegation)"


def _add_passphrase(
    group: click.Group, example: str, open_keyring: OpenKeyring, extra: tuple[str, ...], record: Record | None
) -> None:
    @group.command(
        name="passphrase",
        help="Encrypt the private keys under another passphrase. Repeat it to complete a change that was interrupted.\n\n"
        "Offline and online keys can have different ones: TWINLOCK_ONLINE_PASSPHRASE (or _FILE) is used for online keys where it "
        f"is set.\n\n\b\nExample:\n  twinlock {example}",
    )
    @click.argument("directory", type=DIRECTORY)
    @click.option("--only", type=click.Choice(("offline", "online")), help="Change only these keys.")
    @change_options
    @passphrase_option
    @_audited(record)
    @yes_option
    @output_options
    def passphrase_command(
        out: Output,
        directory: Path,
        *,
        only: str | None,
        new_file: Path | None,
        without: bool,
        passphrase_file: Path | None,
        yes: bool,
    ) -> None:
        from twinlock.repository.keys.passphrases import change_passphrase

        ring = open_keyring(directory)
        places = {"offline": [ring.offline], "online": [ring.online, *(directory / name for name in extra)]}
        old = opened_secrets(passphrase_file)
        if without:
            out.confirm(f"write the private keys in {directory} without encryption", yes=yes)
        new = None if without else new_secret(new_file)
        changed: list[Path] = []
        kinds = (only,) if only else tuple(places)
        if record is not None:
            record(directory, "passphrase", {"keys": list(kinds), "encrypted": not without})
        for kind in kinds:
            if kind == "offline" or ring.online != ring.offline or only:
                changed += change_passphrase(places[kind], old[kind], new)
        out.result(
            {"changed": changed},
            f"{counted(len(changed), 'private key')} {have(len(changed))} {'no' if without else 'a new'} passphrase",
        )
