"""A Root that travels from key to key carries its ``aktualizr`` form with it: a member of the file beside the ``tuf`` one.

    {"signatures": [...], "signed": {...}, "aktualizr": {"signatures": [...], "signed": {...}}}

Whoever signs adds both signatures, after reading both and finding that they say the same. What is published is two files.

Belongs here: that member. Does not belong here: the ceremony (``root_ceremony``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Root

from twinlock.repository.aktualizr.sealing import add_signatures
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.encode import checked_size, translate_root

Json = dict[str, Any]


def attach(metadata: Metadata[Root], *, version: int) -> None:
    """Give a new Root its other form, with no signature yet. Raises: ProfileError for what that form cannot say."""
    signed = translate_root(metadata.signed.to_dict(), version=version)
    checked_size(ROOT, form.encode_envelope(signed, ()), form.MAX_BYTES[ROOT])
    metadata.unrecognized_fields[form.NAME] = {"signatures": [], "signed": signed}


def is_attached(metadata: Metadata[Root]) -> bool:
    """Whether the Root has its other form with it."""
    return form.NAME in metadata.unrecognized_fields


def sign_attached(metadata: Metadata[Root], signers: Iterable[Signer]) -> None:
    """Add signatures to the other form, if there is one. Raises: ProfileError if it does not say the same, UsageError."""
    if not is_attached(metadata):
        return
    envelope = _checked(metadata)
    metadata.unrecognized_fields[form.NAME] = json.loads(add_signatures(ROOT, envelope, signers, form.MAX_BYTES[ROOT]))


def attached_signers(metadata: Metadata[Root]) -> frozenset[str]:
    """The key ids that signed the other form; those of the Root itself where there is none."""
    if not is_attached(metadata):
        return frozenset(metadata.signatures)
    return frozenset(str(signature["keyid"]) for signature in _checked(metadata)["signatures"])


def detach(metadata: Metadata[Root]) -> bytes | None:
    """Take the other form out: the file to publish in that profile. None if there is none. Raises: as ``sign_attached``."""
    if not is_attached(metadata):
        return None
    envelope = _checked(metadata)
    del metadata.unrecognized_fields[form.NAME]
    return form.encode_envelope(envelope["signed"], envelope["signatures"])


def _checked(metadata: Metadata[Root]) -> Json:
    """The other form, once it is readable as a Root and says what the Root says, but for the number of its chain."""
    try:
        envelope: Json = metadata.unrecognized_fields[form.NAME]
        data = form.encode_envelope(envelope["signed"], envelope["signatures"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(reason=f"the file's member {form.NAME} is no Root ({error!r}); prepare it again") from None
    version = AKTUALIZR.decode_root(data, f"{form.NAME}/{ROOT}", DEFAULT_LIMITS).signed.version
    if envelope["signed"] != translate_root(metadata.signed.to_dict(), version=version):
        reason = "the file's two forms of it do not say the same; do not sign it, and ask who prepared it"
        raise ProfileError(profile=form.NAME, what=ROOT, reason=reason)
    return envelope
