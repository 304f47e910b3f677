"""Going on with the Root chain of a Director that another tool ran, so that deployed vehicles follow ours.

A vehicle in the field trusts the last Root that it was given and asks for the next one. That next one says what our Root
says, but for Root keys of the profile's own, and is signed by those and by the keys of the old chain, which are not needed
after it. With it the client forgets the Targets that it was sent, so their numbers begin again at 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root

from twinlock.director.signing.aktualizr_roots import seal_link
from twinlock.director.signing.roots import verify_successor
from twinlock.repository.aktualizr.root_chain import RootChain
from twinlock.repository.aktualizr.signing import add_signatures
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.importing.keys import read_foreign_keys
from twinlock.repository.importing.reader import read_roots
from twinlock.repository.keys.keyring import Keyring
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.refresh import walk_roots
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root as TrustedRoot
from twinlock.trust.names import DIRECTOR, ROOT, KeyId
from twinlock.trust.policy import LAX
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


@dataclass(frozen=True, slots=True)
class Inheritance:
    """An old chain, verified: Root 1 to the newest as they were found, what the newest says, and keys by identity."""

    roots: tuple[bytes, ...]
    newest: TrustedRoot
    keys: dict[bytes, PrivateKeyTypes]


def read_inheritance(path: Path, keys: Path, now: datetime) -> Inheritance:
    """Read the chain ``N.root.json`` in ``path``, from 1 on, and the private keys in ``keys`` that sign its end.

    Raises: UsageError if there is none; RefusalError for a chain that a vehicle would not follow (an expired end will
    do); MissingKeysError if the keys cannot sign the next link; StorageError, PassphraseError.
    """
    roots = tuple(read_roots(path))
    if not roots:
        raise UsageError(reason=f"{path} is no Director for aktualizr: it has no 1.root.json")

    def answer(command: Command) -> Answer:
        version = command.version if isinstance(command, Fetch) else None
        return roots[version - 1] if version is not None and version <= len(roots) else ABSENT

    start = bootstrap_repository(DIRECTOR, roots[0], wire=AKTUALIZR)
    context = Context(repository=DIRECTOR, now=now, limits=DEFAULT_LIMITS, wire=AKTUALIZR, policy=LAX)
    newest = drive(walk_roots(start, context), answer).root.signed
    found = Inheritance(roots, newest, read_foreign_keys(keys))
    role = newest.roles[ROOT]
    held = len({newest.keys[KeyId(signer.public_key.keyid)].identity for signer in _signers(found)})
    if held < role.threshold:
        raise MissingKeysError(role=ROOT, required=role.threshold, held=held, keyids=role.keyids)
    return found


def next_inherited_root(inheritance: Inheritance, root: bytes, keyring: Keyring, now: datetime) -> bytes:
    """What our Root ``root`` says, as the Root after the old chain, accepted by the trust engine as such.

    Its Root keys are neither ours nor those of the old chain. Raises: ProfileError, PassphraseError, RefusalError.
    """
    chain = RootChain(number=lambda _: inheritance.newest.version + 1, newest=None, tuf=None)
    (link,) = chain.links(Metadata[Root].from_bytes(root).signed, keyring, change=None)
    sealed = seal_link(link, keyring)
    signers = list(_signers(inheritance))
    data = add_signatures(ROOT, json.loads(sealed), signers, form.MAX_BYTES[ROOT])
    verify_successor(inheritance.roots[-1], data, now, wire=AKTUALIZR)
    return data


def _signers(inheritance: Inheritance) -> Iterator[CryptoSigner]:
    """The old Root keys that are here, under the ids that the old chain has for them."""
    newest = inheritance.newest
    for keyid in newest.roles[ROOT].keyids:
        private = inheritance.keys.get(newest.keys[keyid].identity)
        if private is not None:
            yield CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), keyid=keyid))
