"""The commands of ``twinlock image`` that sign: publish, delegate, accept, refresh, rotate, and Root in several places."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.shared.exit_status import EXIT_BROKEN, EXIT_DUE, EXIT_REFUSED
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.options import (
    DEMAND_OF_ROTATION,
    DIRECTORY,
    FILE,
    KEY_KINDS,
    REPLACED_KEYS,
    DelegationArguments,
    delegation_options,
    open_image_repository,
    read_duration,
    read_replacement,
    read_rotation,
)
from twinlock.cli.shared.output import Output, output_options, table, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import passphrase_option
from twinlock.cli.signing.client_support import demand_note, note_kinds
from twinlock.cli.signing.root_commands import (
    cancel_root_command,
    publish_hints,
    publish_root_command,
    root_lines,
    sign_root_command,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twinlock.repository.model.views import ClockView, PublishResult, StatusView
    from twinlock.repository.publishing.root_cancelling import CancelledRoot


@click.command()
@click.argument("directory", type=DIRECTORY)
@passphrase_option
@output_options
def publish(out: Output, directory: Path, *, passphrase_file: Path | None) -> None:
    """Sign what is staged and publish it as one step, once the trust engine has accepted it as a vehicle would.

    Safe to repeat after a crash. If another process published first, exit status 3: run it again.

    \b
    Example:
      twinlock image publish ./image
    """
    publication = open_image_repository(directory, passphrase_file).publish()
    out.result(publication, _publication_lines(publication))


def _publication_lines(publication: PublishResult) -> Iterator[str]:
    if publication.changed:
        yield f"published {publication.version}: {', '.join(publication.files)}"
    else:
        yield f"nothing to publish; publication {publication.version} is current"
    for role in publication.waiting:
        yield f"waiting: the delegation to {role} is published once its first signed file is accepted (twinlock image accept)"
    for role in publication.overdue:
        yield f"due: {role} ({_way_out(role, publication.prepared_root)})"
    for commit in publication.unchecked:
        yield f"warning: of the OSTree commit {commit} not every object was checked; run `ostree fsck` where its repository is"


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--within", metavar="DURATION", help="Also name what expires within this time, such as 14d.")
@click.option("--deep", is_flag=True, help="Hash the bytes of every published image (default: compare lengths).")
@output_options
def status(out: Output, directory: Path, *, within: str | None, deep: bool) -> None:
    """Show what is staged, what waits for a supplier, what expires soon or is damaged, and the signing clock.

    Exit status 5: an image is damaged. 1: a role has expired, or nothing can be signed by this clock. 6: with --within, a
    role is due.

    \b
    Example:
      twinlock image status ./image --within 14d
      twinlock image status ./image --deep
    """
    status = open_image_repository(directory, None).status(read_duration(within) if within else None, deep=deep)
    out.result(status, _status_lines(status))
    if status.damaged:
        raise SystemExit(EXIT_BROKEN)
    if status.clock.problem or any(due.expires <= status.clock.now for due in status.due):
        raise SystemExit(EXIT_REFUSED)
    if within and status.due:
        raise SystemExit(EXIT_DUE)


def _way_out(role: str, prepared_root: int | None) -> str:
    """What to run for a role that cannot be signed here: a delegated role is its supplier's."""
    from twinlock.trust.names import ROOT, TOP_LEVEL

    if role in TOP_LEVEL:
        if role == ROOT and prepared_root is not None:
            return (
                f"Root {prepared_root} is prepared; run `twinlock image root publish`, or `root cancel` to start over"
            )
        if role == ROOT:
            return "its keys are not here; run `twinlock image rotate DIRECTORY --prepare FILE`, and have their holders sign FILE"
        return "its keys are not here; run `twinlock image refresh` where they are"
    return f"its keys are not here; {role} runs `twinlock supplier sign`, then run `twinlock image accept` and `twinlock image publish`"


def _status_lines(status: StatusView) -> Iterator[str]:
    staged = [
        *(("image", name) for name in status.staged_images),
        *(("removal", name) for name in status.staged_removals),
        *(("delegation", name) for name in status.staged_delegations),
        *(("end of delegation", name) for name in status.staged_undelegations),
        *(("supplier's file", role) for role in status.accepted),
    ]
    yield from table(("STAGED", "NAME"), staged) if staged else ["nothing is staged"]
    if status.unpublishable is not None:
        yield (
            f"cannot be published: {foreign(status.unpublishable)}; accept another outbox of that supplier (any from the published "
            "version on takes its place), or remove what you staged"
        )
    if status.prepared_root is not None:
        yield f"prepared: Root {status.prepared_root} is collecting signatures; no other Root of that number is made"
    for role in status.waiting:
        yield f"waiting: the delegation to {role} has no signed file yet"
    for due in status.due:
        signable = due.can_sign and not (due.role == "root" and status.prepared_root)
        what = "twinlock image refresh signs it" if signable else _way_out(due.role, status.prepared_root)
        state = "expired" if due.expires <= status.clock.now else "expires"
        yield f"{state} {due.expires:%Y-%m-%d %H:%M}Z: {due.role} ({what})"
    if not status.due:
        yield "nothing expires soon"
    for image in status.damaged:
        yield f"damaged: {foreign(image.path)} of {image.role}: {image.reason}; add the right file again under the same name"
    yield from _clock_lines(status.clock)


def _clock_lines(clock: ClockView) -> Iterator[str]:
    yield f"judged by the clock of this machine: {clock.now:%Y-%m-%d %H:%M:%S}Z"
    if clock.problem is not None:
        yield f"problem: {clock.problem}"
    elif clock.source is None:
        yield "the signing clock has no second source; `twinlock image time-source` sets one"
    elif clock.answered:
        yield f"the signing clock agrees with {clock.source}"
    else:
        yield f"warning: {clock.source} gave no usable answer, so the signing clock was not compared"


@click.command()
@click.argument("directory", type=DIRECTORY)
@delegation_options
@click.option("--before", metavar="ROLE", help="Search it before this role (default: last).")
@output_options
def delegate(out: Output, directory: Path, *, delegation: DelegationArguments, before: str | None) -> None:
    """Stage a delegation: the supplier ROLE signs for some names with its own keys, in its own workspace.

    It is published together with the supplier's first signed file. Delegating again replaces keys and names.

    \b
    Example:
      twinlock image delegate ./image acme --key acme.pub.json --path "acme/*" --hardware-id hw-9
      twinlock image delegate ./image acme --key acme.pub.json --key acme-pq.pub.json --threshold 2 \\
          --demand-post-quantum --path "acme/*"
    """
    with own_input():
        replaced = open_image_repository(directory, None).delegate(
            delegation.role, before=before, **delegation.stated()
        )
    if replaced:
        keys = ", ".join(keyid[:12] for keyid in replaced)
        out.note(
            f"warning: {delegation.role} is delegated to already, and none of its keys so far ({keys}) stays; if another supplier "
            "owns that name, do not publish: delegate to the keys so far again, and have this supplier choose another name"
        )
    if delegation.post_quantum:
        out.note(demand_note([delegation.role]))
    out.result(
        {"staged": {"delegation": delegation.role}},
        f"staged the delegation to {delegation.role}; accept its first signed file, then publish",
    )


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("role")
@yes_option
@output_options
def undelegate(out: Output, directory: Path, role: str, *, yes: bool) -> None:
    """Stage the end of a delegation. Its name leaves Snapshot when the keys of Snapshot and Timestamp are rotated.

    \b
    Example:
      twinlock image undelegate ./image acme --yes
    """
    from twinlock.repository.authoring.staged_edits import check_delegated

    repository = open_image_repository(directory, None)
    with own_input():
        check_delegated(repository.workspace, role)
        out.confirm(f"end the delegation to {role}", yes=yes)
        repository.undelegate(role)
    out.result(
        {"staged": {"undelegation": role}}, f"staged the end of the delegation to {role}; run `twinlock image publish`"
    )


_LOST_MEMORY = (
    "if the supplier's workspace lost what it signed, have it signed again above the version here: "
    "`twinlock supplier sign --above VERSION`; then compare what it lists"
)
_ACCEPT_HINTS = {
    "rollback": _LOST_MEMORY,
    "equivocation": _LOST_MEMORY,
    "malformed": "copy the whole outbox again; if the error persists, ask the supplier for a new one",
    "expired": "the supplier signs again: `twinlock supplier sign`",
    "threshold": "if the supplier confirms, by a channel that you trust, that it rotated its keys, delegate to the new public "
    "keys first: `twinlock image delegate`",
}


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("outbox", type=DIRECTORY)
@click.option(
    "--largest-image",
    type=click.IntRange(min=1),
    metavar="BYTES",
    help="Refuse a longer image, and an outbox of more than four times that (default: 16 GiB).",
)
@output_options
def accept(out: Output, directory: Path, outbox: Path, *, largest_image: int | None) -> None:
    """Check what a supplier signed, at least as strictly as a vehicle would, and stage it.

    \b
    Example:
      twinlock image accept ./image ./acme/outbox
    """
    from twinlock.repository.errors import RoleReservedError
    from twinlock.repository.suppliers.outbox_images import MAX_IMAGE_BYTES
    from twinlock.trust.errors.metadata import (
        EquivocationError,
        ExpiredError,
        MalformedError,
        RollbackError,
        ThresholdError,
    )

    repository = open_image_repository(directory, None)
    judged = (ExpiredError, ThresholdError, RollbackError, EquivocationError, RoleReservedError, MalformedError)
    with out.progress(None, "reading the images of the outbox") as advance, own_input(*judged, hints=_ACCEPT_HINTS):
        roles = repository.accept(outbox, largest_image=largest_image or MAX_IMAGE_BYTES, progress=advance)
    removed = {role: names for role, names in repository.delisted().items() if role in roles}
    for role, names in removed.items():
        out.note(f"warning: {role} no longer lists {', '.join(names)}; if that is a mistake, do not publish")
    text = f"accepted the files of {', '.join(roles)}; run `twinlock image publish`" if roles else "nothing new in it"
    out.result({"accepted": list(roles), "removed": removed}, text)


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--within", metavar="DURATION", help="Sign what expires within this time (default: a margin for each role)."
)
@passphrase_option
@output_options
def refresh(out: Output, directory: Path, *, within: str | None, passphrase_file: Path | None) -> None:
    """Sign again what expires soon, as far as its keys are here, and name the rest. Run it from a timer.

    \b
    Example:
      twinlock image refresh ./image --within 2d
    """
    repository = open_image_repository(directory, passphrase_file)
    publication = repository.refresh(read_duration(within) if within else None)
    out.result(publication, _publication_lines(publication))


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("roles", nargs=-1)
@click.option(
    "--keys",
    metavar="T/N[:KIND[+KIND]]",
    help="How many new keys, and how many of them must sign (default: unchanged).",
)
@click.option("--kind", type=click.Choice(KEY_KINDS), help="The kind of the new keys (default: unchanged).")
@DEMAND_OF_ROTATION
@REPLACED_KEYS
@click.option("--prepare", type=FILE, metavar="FILE", help="Only write the next Root to FILE, for others to sign.")
@passphrase_option
@yes_option
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
    passphrase_file: Path | None,
    yes: bool,
) -> None:
    """Replace the keys of ROLES and publish the result: a new Root, signed by old and new keys, and what the roles sign.

    Rotating snapshot and timestamp together also drops ended delegations from Snapshot.

    With --prepare and no ROLES the next Root has the same keys and a later expiry: a renewal where Root keys are in
    several places.

    Without --keys each role gets the same number and kinds of keys. T/N accepts the kinds of its last keys too, as in
    2/3:ed25519+ml-dsa-65: two of the first kind, one of the other.

    \b
    Example:
      twinlock image rotate ./image snapshot timestamp --yes
      twinlock image rotate ./image root --keys 2/3:ed25519+ml-dsa-65 --demand-post-quantum
      twinlock image rotate ./image root --replace 6c2d68e6171e22bf --prepare next-root.json
      twinlock image rotate ./image --prepare next-root.json
    """
    from twinlock.repository.publishing.root_ceremony import RootChanges
    from twinlock.trust.errors.base import UsageError

    if not roles and (prepare is None or keys):
        raise UsageError(reason="name at least one role; without ROLES only --prepare FILE renews Root unchanged")
    repository = open_image_repository(directory, passphrase_file)
    plan = read_rotation(roles, keys=keys, kind=kind, demand=demand)
    if replaced:
        known = {str(role.name): role.keyids for role in repository.show().roles}
        plan = read_replacement(roles, replaced, plan=plan, now=repository.plan_of, known=known)
    note_kinds(out, dict.fromkeys(roles, plan) if plan else {})
    if prepare is not None:
        plans = {role: plan or repository.plan_of(role) for role in roles}
        view = repository.prepare_root(prepare, RootChanges(rotate=plans))
        out.result(view, root_lines(view, prepare))
        return
    out.confirm(f"replace the keys of {', '.join(roles)}", yes=yes)
    publication = repository.rotate(*roles, plan=plan)
    out.result(publication, _publication_lines(publication))


@click.group(name="root")
def root_group() -> None:
    """Root with keys in several places: sign a prepared Root, publish one that has all its signatures.

    \b
    Example:
      twinlock image rotate ./image root --keys 2/3 --prepare next-root.json
      twinlock image root sign next-root.json --keys /media/key-2
      twinlock image root publish ./image next-root.json
    """


def _publish(out: Output, directory: Path, file: Path, passphrase_file: Path | None, *, until: datetime | None) -> None:
    repository = open_image_repository(directory, passphrase_file)
    with own_input(hints=publish_hints("image", file)):
        publication = repository.publish_root(file, until=until.date() if until else None)
    unchanged = f"the Root in {file} is already published; publication {publication.version} is current"
    out.result(publication, _publication_lines(publication) if publication.changed else unchanged)


root_group.add_command(sign_root_command("image"))
root_group.add_command(
    publish_root_command(
        "image",
        "Signs again everything that depends on it.",
        _publish,
        click.option(
            "--until",
            type=click.DateTime(("%Y-%m-%d",)),
            help="For a Root that hands the aktualizr chain over: see image wire --hand-over.",
        ),
    )
)


def _cancel(directory: Path, file: Path) -> CancelledRoot:
    return open_image_repository(directory, None).cancel_root(file)


root_group.add_command(cancel_root_command("image", _cancel))
