"""Signing one file of the ``aktualizr`` profile: its translated content in, the bytes to serve out.

The same keys sign as for the ``tuf`` profile, over the canonical form that this profile has.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Key, Signature, Signer

from twinlock.repository.errors import MissingKeysError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.signing.sign import SigningAuthority, keyids_of
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.encode import checked_size, translate_key

# The longest signature of each scheme in bytes, so that a file's size is known before anything is signed.
_SIGNATURE_BYTES = {"ed25519": 64, "rsassa-pss-sha256": max(form.RSA_BITS) // 8}


def sign_aktualizr(
    role: str,
    signed: Mapping[str, Any],
    authorities: Iterable[SigningAuthority],
    keyring: Keyring,
    *,
    max_bytes: int,
    also: SigningAuthority | None = None,
) -> bytes:
    """Sign ``signed`` with every key of ``authorities`` that is held, and return the file.

    Each authority's threshold has to be reached (Root has two: the old and the new). Keys of ``also`` sign if they are
    held and this client can read them; nothing depends on it here. ``max_bytes`` is what it reads of such a file.
    Raises: ProfileError above that size or for a key that this client cannot read, before anything is signed;
    MissingKeysError; PassphraseError.
    """
    signers = _distinct(_signers(role, authorities, keyring, also))
    try:
        message = form.encode_canonical(signed)
    except ValueError as error:
        raise ProfileError(profile=form.NAME, what=role, reason=str(error)) from None
    longest = [_entry(signer.public_key, bytes(_SIGNATURE_BYTES[signer.public_key.scheme])) for signer in signers]
    checked_size(role, form.encode_envelope(signed, longest), max_bytes)
    made = [_entry(signer.public_key, bytes.fromhex(signer.sign(message).signature)) for signer in signers]
    return form.encode_envelope(signed, made)


def add_signatures(role: str, envelope: Mapping[str, Any], signers: Iterable[Signer], max_bytes: int) -> bytes:
    """The file ``envelope`` with the signatures of ``signers``, for keys in several places; a false one of theirs is replaced.

    Raises: ProfileError above ``max_bytes``.
    """
    message = form.encode_canonical(envelope["signed"])
    present = {entry["keyid"]: entry for entry in envelope["signatures"]}
    for signer in _distinct(signers):
        key = signer.public_key
        if key.keyid not in present or not _is_by(key, present[key.keyid], message):
            present[key.keyid] = _entry(key, bytes.fromhex(signer.sign(message).signature))
    return checked_size(role, form.encode_envelope(envelope["signed"], [*present.values()]), max_bytes)


def verified_keyids(envelope: Mapping[str, Any], keys: Mapping[str, Key]) -> frozenset[str]:
    """Those of ``keys``, by id, whose signatures in the file ``envelope`` verify."""
    message = form.encode_canonical(envelope["signed"])
    entries = [(str(entry["keyid"]), entry) for entry in envelope["signatures"]]
    return frozenset(keyid for keyid, entry in entries if keyid in keys and _is_by(keys[keyid], entry, message))


def _is_by(key: Key, entry: Mapping[str, str], message: bytes) -> bool:
    """Whether ``key`` made a signature of a file that was elsewhere meanwhile."""
    try:
        value = base64.b64decode(entry["sig"], validate=True)
        key.verify_signature(Signature(key.keyid, value.hex()), message)
    except (ValueError, KeyError, TypeError, UnverifiedSignatureError, VerificationError):
        return False
    return True


def _signers(
    role: str, authorities: Iterable[SigningAuthority], keyring: Keyring, also: SigningAuthority | None
) -> Iterator[Signer]:
    for authority in authorities:
        held = keyring.signers(authority.keyids)
        count = authority.count(keyids_of(held))
        if count < authority.threshold:
            raise MissingKeysError(role=role, required=authority.threshold, held=count, keyids=authority.keyids)
        for signer in held:
            _check_readable(signer.public_key)
            yield signer
    for signer in () if also is None else keyring.signers(also.keyids):
        with suppress(ProfileError):
            _check_readable(signer.public_key)
            yield signer


def _distinct(signers: Iterable[Signer]) -> list[Signer]:
    """Each key once: this client refuses a file that holds a key id twice."""
    return list({signer.public_key.keyid: signer for signer in signers}.values())


def _check_readable(key: Key) -> None:
    translate_key(key.keyid, {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval})


def _entry(key: Key, value: bytes) -> dict[str, str]:
    return form.encode_signature(key.keyid, key.scheme, value)
