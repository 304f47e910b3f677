"""Beginning to publish for aktualizr in a repository that exists: everything once more, in the other form.

The Root chain of the profile begins with version 1, whatever the version of ours is: a new vehicle asks for that one.

Belongs here: that first publication. Does not belong here: later ones (``publishing``).
"""

from __future__ import annotations

from twinlock.repository.aktualizr.second import Second
from twinlock.repository.aktualizr.standing import is_standing
from twinlock.repository.atomic import locked
from twinlock.repository.candidate import Candidate
from twinlock.repository.draft import read_draft
from twinlock.repository.publishing import commit, discharge, plan_draft
from twinlock.repository.staging import listed_images
from twinlock.repository.views import Publication
from twinlock.repository.workspace import Workspace
from twinlock.trust.names import TIMESTAMP


def publish_for_aktualizr(workspace: Workspace) -> Publication:
    """Publish everything, and what is staged, in the ``aktualizr`` profile too, from now on. Safe to repeat.

    Raises: ProfileError, with what this client could not read; MissingKeysError (Root and Targets sign); as ``commit``.
    """
    with locked(workspace.path / ".init.lock"):
        published = workspace.published()
        if workspace.wires.aktualizr and is_standing(workspace.store, published.version):
            return Publication(version=published.version, files=(), changed=False)
        draft = read_draft(workspace.draft_path)
        candidate = Candidate(published, workspace.keyring, workspace.periods, workspace.now())
        waiting = plan_draft(candidate, draft)
        candidate.renew(TIMESTAMP)
        wires = workspace.wires.with_aktualizr(root_offset=published.root.signed.version - 1)
        second = Second(workspace, wires, published, None, whole=True)
        publication = commit(workspace, candidate, images=listed_images(draft), waiting=waiting, second=second)
        discharge(workspace, draft, waiting)
        return publication
