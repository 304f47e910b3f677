"""The life of the aktualizr profile in a repository that exists: its beginning, and the hand-over of its Root chain.

The profile's Root chain begins with version 1, whatever the version of ours is: a new vehicle asks for that one. The chain
has Root keys of its own, as many as ours, so that no Root of ours fits into it.

A chain that an earlier version began shares its keys with the ``tuf`` chain. One publication hands it over to its own:

    fillers     its Roots up to the number of ours, each naming today's keys: no place is left for an old Root of ours
    hand-over   the next one, with the number that our next Root has, signed by the old keys and by its own
    newcomers   1.root.json is the hand-over from then on, so that a new device never trusts a Root from before

The old Root keys sign each later Root too until a given day. That leads vehicles back that were out of reach, or that an
attacker stranded at a Root of our chain. A vehicle that meets the attacker first, while it trusts a Root from before, is
beyond any publisher's help (docs/cross-profile-roots.md).
"""

from __future__ import annotations

from datetime import date

from twinlock.io.files.durable import locked
from twinlock.repository.aktualizr.published import is_published
from twinlock.repository.aktualizr.root_chain import authority_of
from twinlock.repository.aktualizr.writer import AktualizrWriter, open_writer
from twinlock.repository.authoring.apply_draft import listed_images
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.model.views import PublishResult
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.publishing.publish import begin_publishing, commit, discharge, plan_draft
from twinlock.repository.signing.sign import root_authority
from twinlock.repository.workspace.state import RepositoryState
from twinlock.repository.workspace.validity import STRANDED_FOR
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import ROOT, TIMESTAMP


def publish_for_aktualizr(workspace: Workspace) -> PublishResult:
    """Publish everything, and what is staged, in the ``aktualizr`` profile too, from now on. Safe to repeat.

    Raises: ProfileError, with what this client could not read; MissingKeysError (Root and Targets sign); as ``commit``.
    """
    with locked(workspace.path / ".init.lock"):
        state = begin_publishing(workspace)
        published = state.published
        if state.wires.aktualizr and is_published(workspace.store, published.version):
            return PublishResult(version=published.version, files=(), changed=False)
        _check_root_keys_held(state)
        draft, candidate = state.draft, NextPublication(state)
        waiting = plan_draft(candidate, draft)
        candidate.renew(TIMESTAMP)
        wires = state.wires.with_aktualizr(root_offset=published.root.signed.version - 1)
        writer = AktualizrWriter(state, wires, None, initial=True)
        publication = commit(
            candidate, images=listed_images(draft), waiting=waiting, profiles=open_profiles(state, chosen=writer)
        )
        discharge(workspace, draft, waiting)
        return publication


def hand_over(workspace: Workspace, until: date | None = None) -> PublishResult:
    """Give the aktualizr Root chain keys of its own, and publish that; one that has them is left alone. Safe to repeat.

    ``until`` is the last day on which the old Root keys sign for stranded vehicles (default: ``STRANDED_FOR`` from now).
    Raises: UsageError if the profile is off or the day has passed; MissingKeysError; as ``commit``.
    """
    with locked(workspace.path / ".init.lock"):
        state = begin_publishing(workspace)
        writer = open_writer(state)
        if writer is None:
            raise UsageError(reason=f"{workspace.path} does not publish for aktualizr, so it has no chain to hand over")
        if writer.chain.has_own_keys:
            return PublishResult(version=state.published.version, files=(), changed=False)
        _check_root_keys_held(state)
        writer = handing_over(writer, last_day(state, until))
        candidate = NextPublication(state)
        candidate.renew(ROOT)
        return commit(candidate, profiles=open_profiles(state, chosen=writer))


def handing_over(writer: AktualizrWriter, until: date) -> AktualizrWriter:
    """``writer`` as a publication that hands its Root chain over."""
    assert writer.published is not None
    old = authority_of(writer.published.root.signed)
    wires = writer.wires.with_hand_over(
        version=writer.state.published.root.signed.version + 1, stranded=old.keyids, until=until
    )
    return AktualizrWriter(writer.state, wires, writer.published, initial=False, handing_over=True)


def last_day(state: RepositoryState, until: date | None) -> date:
    """The day on which the old Root keys sign for the last time. Raises: UsageError for one that has passed."""
    today = state.now.date()
    if until is not None and until < today:
        raise UsageError(reason=f"the old Root keys cannot sign until {until}: that day has passed")
    return until or today + STRANDED_FOR


def _check_root_keys_held(state: RepositoryState) -> None:
    """Check that our Root keys are held, though they need not sign: they admit who begins or hands over a Root chain. Raises: MissingKeysError."""
    authority = root_authority(state.published.root.signed, ROOT)
    authority.check_held(ROOT, (record.keyid for record in state.workspace.keyring.held(authority.keyids)))
