"""The commands of ``twinlock image`` for vehicles that run aktualizr: publish for them too, and take over their repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinlock.cli.shared.counts import counted, have
from twinlock.cli.shared.exit_status import EXIT_REFUSED
from twinlock.cli.shared.foreign import foreign
from twinlock.cli.shared.json_form import json_value
from twinlock.cli.shared.options import DIRECTORY, EXISTING_DIRECTORY, FILE, open_image_repository, read_periods
from twinlock.cli.shared.output import Output, output_options, yes_option
from twinlock.cli.shared.own_input import own_input
from twinlock.cli.shared.passphrase import (
    new_passphrase,
    old_keys_option,
    old_keys_passphrase,
    passphrase_for,
    passphrase_option,
    plain_keys_option,
)
from twinlock.cli.signing.root_commands import root_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from twinlock.repository.importing.plan import Takeover
    from twinlock.repository.model.import_findings import EntryFinding, ImportFindings
    from twinlock.repository.model.views import TakeoverView
    from twinlock.repository.publishing.root_ceremony import RootChanges

PROFILES = ("aktualizr",)


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.argument("profile", type=click.Choice(PROFILES))
@click.option(
    "--hand-over", is_flag=True, help="Give the chain Root keys of its own, if it shares those of the tuf chain."
)
@click.option(
    "--until",
    type=click.DateTime(("%Y-%m-%d",)),
    help="With --hand-over: the last day on which the old Root keys sign for stranded vehicles (default: two years).",
)
@click.option(
    "--prepare", type=FILE, metavar="FILE", help="Only write the next Root, in both forms, for others to sign."
)
@click.option(
    "--root-key",
    "root_keys",
    type=FILE,
    multiple=True,
    help="With --prepare: a public Root key for the profile (repeat).",
)
@click.option("--root-threshold", type=click.IntRange(1), help="How many of the --root-key keys must sign.")
@yes_option
@passphrase_option
@output_options
def wire(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    *,
    profile: str,
    hand_over: bool,
    until: datetime | None,
    prepare: Path | None,
    root_keys: tuple[Path, ...],
    root_threshold: int | None,
    yes: bool,
    passphrase_file: Path | None,
) -> None:
    """Publish in the wire profile PROFILE too, from now on: for vehicles that run aktualizr.

    Everything that is published, and what is staged, is published once in that form; the keys of root and targets must
    be here. The profile gets as many Root keys of its own as Root has, in the same place: move them to their holders.
    What those vehicles could not read is refused, with the reason, and nothing changes. Safe to repeat.

    A repository that began the profile with an earlier version shares its Root keys with the tuf chain. --hand-over gives
    it its own; until then keys cannot be rotated. docs/cross-profile-roots.md explains why.

    If Root keys are in several places, --prepare writes a Root for their holders to sign; image root publish then starts
    the profile, or hands its chain over.

    \b
    Example:
      twinlock image wire ./image aktualizr
      twinlock image wire ./image aktualizr --hand-over --until 2028-12-31
      twinlock image wire ./image aktualizr --prepare next-root.json --root-key anna.pub.json --root-key ben.pub.json
    """
    from twinlock.trust.errors.base import UsageError

    if prepare is None and (root_keys or root_threshold):
        raise UsageError(reason="--root-key and --root-threshold need --prepare")
    if until is not None and (prepare is not None or not hand_over):
        raise UsageError(reason="--until needs --hand-over; with --prepare give it to image root publish")
    repository = open_image_repository(directory, passphrase_file)
    if prepare is not None:
        changes = _own_root_keys(root_keys, root_threshold)
        view = repository.prepare_root(prepare, changes, for_aktualizr=True)
        out.result(view, root_lines(view, prepare))
        return
    what = f"give the Root chain for {profile} keys of its own" if hand_over else f"publish for {profile} from now on"
    out.confirm(what, yes=yes)
    if hand_over:
        publication = repository.hand_over(until.date() if until else None)
        text = f"published {publication.version}: the chain for {profile} now has Root keys of its own"
        unchanged = f"the chain for {profile} in {directory} already has Root keys of its own"
    else:
        publication = repository.publish_for_aktualizr()
        text = f"published {publication.version} for {profile} too: {', '.join(publication.files)}"
        unchanged = f"{directory} already publishes for {profile}"
    out.result({"profile": profile, **json_value(publication)}, text if publication.changed else unchanged)


def _own_root_keys(files: tuple[Path, ...], threshold: int | None) -> RootChanges:
    from twinlock.repository.keys.public_keys import read_key_files
    from twinlock.repository.publishing.root_ceremony import RootChanges
    from twinlock.repository.signing.named_keys import OWN_ROOT

    if not files:
        return RootChanges()
    return RootChanges(
        add={OWN_ROOT: read_key_files(files)}, thresholds={OWN_ROOT: threshold} if threshold is not None else {}
    )


@click.command(name="import")
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--from", "source", type=DIRECTORY, required=True, help="The old repository: where N.root.json and targets/ are."
)
@click.option(
    "--keys",
    type=EXISTING_DIRECTORY,
    required=True,
    help="Its private keys: ROLE/private.key, PEM files, or JSON key files.",
)
@click.option(
    "--release-counter", type=click.IntRange(0), default=0, show_default=True, help="For images that state none."
)
@click.option("--drop-delegation", "dropped", multiple=True, metavar="ROLE", help="Drop this delegated role (repeat).")
@click.option(
    "--valid", multiple=True, metavar="ROLE=DURATION", help="How long files stay valid, such as timestamp=1d."
)
@click.option("--treehub", type=DIRECTORY, help="The OSTree repository with the listed commits, to serve from here.")
@click.option(
    "--dry-run", is_flag=True, help="Only show what would be imported, what not, and what will not work later."
)
@old_keys_option
@plain_keys_option
@passphrase_option
@output_options
def import_command(  # noqa: PLR0913 - one parameter for each option
    out: Output,
    directory: Path,
    *,
    source: Path,
    keys: Path,
    release_counter: int,
    dropped: tuple[str, ...],
    valid: tuple[str, ...],
    treehub: Path | None,
    dry_run: bool,
    keys_file: Path | None,
    plain_keys: bool,
    passphrase_file: Path | None,
) -> None:
    """Take over an existing repository for aktualizr, so that deployed devices accept what is published next.

    All of it is verified first; its Root files, key ids and version numbers are kept. It is only read. An import that was
    cut off is finished by repeating it. The keys are encrypted under a passphrase, which is asked for unless one is given;
    --keys-passphrase-file is for old keys that have another one.

    OSTree commits are imported as entries; with --treehub they are checked there and served below /treehub. Images that
    another host serves are read once from there. An image that cannot be imported (bytes that are missing or differ, an
    address that is not public) is left out and named; the exit status is then 1. --dry-run shows that first, and what will not
    work later, and writes nothing.

    \b
    Example:
      twinlock image import ./image --from ./old/repo/repo --keys ./old/keys/image --dry-run
      twinlock image import ./image --from ./old/repo/repo --keys ./old/keys/image
    """
    from twinlock.repository.image_repository import ImageRepository
    from twinlock.repository.importing.plan import Takeover

    periods = read_periods(valid)
    passphrase = passphrase_for(passphrase_file) if dry_run else new_passphrase(passphrase_file, plain=plain_keys)
    wanted = Takeover(
        source=source,
        keys=keys,
        passphrase=old_keys_passphrase(keys_file, passphrase),
        release_counter=release_counter,
        without=frozenset(dropped),
        treehub=treehub,
    )
    size = _size(source / "targets")
    if dry_run:
        _show_findings(out, wanted, size, directory)
        return

    def tell(findings: ImportFindings) -> None:
        for line in _finding_lines(findings.left_out, findings.warnings):
            out.note(line)

    with own_input(), out.progress(2 * size, "reading and copying images") as advance:
        _, view = ImageRepository.take_over(
            directory, wanted, passphrase=passphrase, periods=periods, progress=advance, tell=tell
        )
    out.result({"imported": str(directory), **json_value(view)}, _import_lines(view, directory))
    if view.left_out:
        raise SystemExit(EXIT_REFUSED)


def _show_findings(out: Output, wanted: Takeover, size: int, directory: Path) -> None:
    """What an import would do. Raises: SystemExit where it would leave images out."""
    from twinlock.repository.importing.run import foresee
    from twinlock.repository.workspace.validity import utc_now

    with own_input(), out.progress(size, "reading images") as advance:
        findings = foresee(wanted, now=utc_now(), into=directory, progress=advance)
    lines = [
        f"would import {counted(findings.images, 'image')} and {counted(findings.roots, 'root version')}; nothing was written"
    ]
    lines += [f"expired: {role}; would be signed again" for role in findings.expired]
    lines += [f"would drop the delegation to {role} and its images" for role in findings.dropped]
    out.result(
        {"dryRun": True, **json_value(findings)}, [*lines, *_finding_lines(findings.left_out, findings.warnings)]
    )
    if findings.left_out:
        raise SystemExit(EXIT_REFUSED)


def _finding_lines(left_out: tuple[EntryFinding, ...], warnings: tuple[EntryFinding, ...]) -> Iterator[str]:
    yield from (f"left out: {foreign(str(finding))}" for finding in left_out)
    yield from (f"warning: {foreign(str(finding))}" for finding in warnings)


def _size(directory: Path) -> int:
    """The bytes of all images, for the progress bar."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _import_lines(view: TakeoverView, directory: Path) -> Iterator[str]:
    from twinlock.repository.model.import_findings import NO_COUNTER

    yield f"imported {counted(view.images, 'image')} and {counted(view.roots, 'root version')}; published as publication {view.publication}"
    yield "published now: " + ", ".join(f"{role} {version}" for role, version in view.versions.items())
    uncounted = sum(finding.code == NO_COUNTER for finding in view.warnings)
    if uncounted:
        yield (
            f"{counted(uncounted, 'image')} that stated no release counter {have(uncounted)} {view.release_counter} now; "
            "later releases must be higher"
        )
    for role in view.expired:
        yield f"had expired: {role}; signed again"
    for role in view.dropped:
        yield f"dropped: the delegation to {role}; its images are no longer listed"
    if view.left_out:
        yield f"left out: {counted(len(view.left_out), 'image')}, named above; add the files with twinlock image add"
    yield f"the Root for new vehicles of the tuf profile: {directory}/public/metadata/{view.versions['root']}.root.json"
    yield f"next: twinlock image serve {directory}, and have devices ask there"
