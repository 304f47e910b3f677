"""Beginning to publish for aktualizr in a repository that exists: everything once more, in the other form.

The Root chain of the profile begins with version 1, whatever the version of ours is: a new vehicle asks for that one. It
has Root keys of its own, as many as ours, so that no Root of ours fits into it.
"""

from __future__ import annotations

from twinlock.io.files.durable import locked
from twinlock.repository.aktualizr.published import is_published
from twinlock.repository.aktualizr.writer import AktualizrWriter
from twinlock.repository.authoring.apply_draft import listed_images
from twinlock.repository.authoring.next_publication import NextPublication, root_authority
from twinlock.repository.model.views import PublishResult
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.publishing.publish import commit, discharge, plan_draft
from twinlock.repository.workspace.state import RepositoryState, read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.names import ROOT, TIMESTAMP


def publish_for_aktualizr(workspace: Workspace) -> PublishResult:
    """Publish everything, and what is staged, in the ``aktualizr`` profile too, from now on. Safe to repeat.

    Raises: ProfileError, with what this client could not read; MissingKeysError (Root and Targets sign); as ``commit``.
    """
    with locked(workspace.path / ".init.lock"):
        state = read_state(workspace)
        published = state.published
        if state.wires.aktualizr and is_published(workspace.store, published.version):
            return PublishResult(version=published.version, files=(), changed=False)
        check_root_keys_held(state)
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


def check_root_keys_held(state: RepositoryState) -> None:
    """Check that our Root keys are held, though they need not sign: they admit who begins or hands over a Root chain. Raises: MissingKeysError."""
    authority = root_authority(state.published.root.signed, ROOT)
    authority.check_held(ROOT, (record.keyid for record in state.workspace.keyring.held(authority.keyids)))
