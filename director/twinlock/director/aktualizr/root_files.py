"""One Root file of the ``aktualizr`` profile: signed, and read back."""

from __future__ import annotations

from twinlock.repository.aktualizr.root_chain import RootLink
from twinlock.repository.aktualizr.signing import sign_aktualizr
from twinlock.repository.keys.keyring import Keyring
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.names import DIRECTOR, ROOT
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR


def sign_link(link: RootLink, keyring: Keyring) -> bytes:
    """One Root of the profile, signed. Raises: ProfileError, MissingKeysError, PassphraseError."""
    bound = form.MAX_BYTES[ROOT]
    data = sign_aktualizr(ROOT, link.signed, link.authorities, keyring, max_bytes=bound, also=link.also)
    bootstrap_repository(DIRECTOR, data, wire=AKTUALIZR)
    return data


def decode_root(data: bytes) -> Root:
    """What a Root file of the profile states. Raises: MalformedError, LimitError."""
    return AKTUALIZR.decode_root(data, f"{DIRECTOR}/{ROOT}", DEFAULT_LIMITS).signed
