"""A supplier's file in the ``aktualizr`` form: it is signed by the delegated keys, and says what the ``tuf`` form says."""

from __future__ import annotations

from collections.abc import Iterable

from tuf.api.metadata import Metadata, Targets

from twinlock.repository.aktualizr.copies import check_says_the_same
from twinlock.repository.authoring.apply_draft import verify_delegated
from twinlock.repository.authoring.delegations import Member
from twinlock.repository.authoring.written_form import check_written
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.names import TARGETS
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.encode import checked_size, translate_targets


def check_other_form(role: str, data: bytes, other: bytes, members: Iterable[Member]) -> None:
    """Judge ``other``, the form of ``data`` for aktualizr, as every delegator of the role would.

    Raises: ProfileError if it does not say the same or this client could not read it; ThresholdError, MalformedError.
    """
    checked_size(role, other, form.MAX_BYTES[TARGETS])
    for member in members:
        verify_delegated(other, member, wire=AKTUALIZR)
    check_written(f"the file of {role} for {form.NAME}", other, wire=AKTUALIZR)
    check_says_the_same(role, other, translate_targets(role, Metadata[Targets].from_bytes(data).signed.to_dict()))


def missing_form(role: str) -> ProfileError:
    """The refusal of an outbox that holds a role's file in one form only."""
    reason = (
        "the outbox holds its file in one form, and this repository publishes two; its owner has to sign it in both "
        "(twinlock supplier wire DIRECTORY aktualizr, then twinlock supplier sign)"
    )
    return ProfileError(profile=form.NAME, what=role, reason=reason)
