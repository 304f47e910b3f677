"""The Root chain of a Director that another tool ran, and the Root with which ours continues it, so that deployed vehicles follow.

A vehicle in the field trusts the last Root that it was given and asks for the next one. That next one states what our Root
states, but for Root keys of the profile's own, and is signed by those and by the keys of the old chain, which are not needed
after it. With it the client forgets the Targets that it was sent, so their numbers begin again at 1.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root

from twinlock.director.aktualizr.root_files import sign_link
from twinlock.director.model.profiles import OldChain
from twinlock.director.signing.roots import verify_successor
from twinlock.repository.aktualizr.root_chain import RootChain
from twinlock.repository.aktualizr.signing import add_signatures
from twinlock.repository.errors import MissingKeysError, WrongRepositoryError
from twinlock.repository.importing.keys import read_foreign_keys
from twinlock.repository.importing.reader import read_roots
from twinlock.repository.importing.which import OLD_DIRECTOR, OLD_IMAGE, check_old_director
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.keys.new_keys import NewKeys
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
class AktualizrInheritance:
    """See ``InheritedChain``. ``newest`` is what the last of ``roots`` states, ``keys`` the private keys by identity."""

    roots: tuple[bytes, ...]
    newest: TrustedRoot
    keys: dict[bytes, PrivateKeyTypes]

    def next_root(self, root: bytes, keyring: Keyring, new: NewKeys, now: datetime) -> bytes:
        """See ``InheritedChain``. Its Root keys are neither ours nor those of the old chain."""
        chain = RootChain(number=lambda _: self.newest.version + 1, newest=None, tuf=None)
        (link,) = chain.links(Metadata[Root].from_bytes(root).signed, keyring, new, change=None)
        envelope = json.loads(sign_link(link, keyring))
        data = add_signatures(ROOT, envelope, list(self.signers()), form.MAX_BYTES[ROOT])
        verify_successor(self.roots[-1], data, now, reader=AKTUALIZR)
        return data

    def signers(self) -> Iterator[CryptoSigner]:
        """The old Root keys that are here, under the ids that the old chain has for them."""
        for keyid in self.newest.roles[ROOT].keyids:
            private = self.keys.get(self.newest.keys[keyid].identity)
            if private is not None:
                yield CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), keyid=keyid))


def read_inherited_chain(old: OldChain, now: datetime, *, image_keys: Collection[bytes]) -> AktualizrInheritance:
    """Read the chain ``N.root.json``, from 1 on, and the private keys that sign its end.

    ``image_keys`` are the keys of our Image repository by identity: none of them may be in the chain, or one that the chain
    leads to would sign as the Image repository too.
    Raises: UsageError if there is none; WrongRepositoryError for that of an Image repository; RefusalError for a chain that a vehicle would not follow (an expired end will
    do); MissingKeysError if the keys cannot sign the next link; StorageError, PassphraseError.
    """
    roots = tuple(read_roots(Path(old.roots)))
    if not roots:
        raise UsageError(reason=f"{old.roots} is not the directory of a Director for aktualizr: 1.root.json not found")

    def answer(command: Command) -> Answer:
        version = command.version if isinstance(command, Fetch) else None
        return roots[version - 1] if version is not None and version <= len(roots) else ABSENT

    start = bootstrap_repository(DIRECTOR, roots[0], wire=AKTUALIZR)
    context = Context(repository=DIRECTOR, now=now, limits=DEFAULT_LIMITS, wire=AKTUALIZR, policy=LAX)
    newest = drive(walk_roots(start, context), answer).root.signed
    check_old_director(Path(old.roots))
    _check_apart(Path(old.roots), roots, image_keys)
    inherited = AktualizrInheritance(roots, newest, read_foreign_keys(Path(old.keys), old.passphrase))
    role = newest.roles[ROOT]
    held = len({newest.keys[KeyId(signer.public_key.keyid)].identity for signer in inherited.signers()})
    if held < role.threshold:
        raise MissingKeysError(role=ROOT, required=role.threshold, held=held, keyids=role.keyids)
    return inherited


def _check_apart(path: Path, roots: tuple[bytes, ...], image_keys: Collection[bytes]) -> None:
    """Check that no Root of the chain names a key of our Image repository. Raises: WrongRepositoryError."""
    for number, data in enumerate(roots, 1):
        keys = AKTUALIZR.decode_root(data, ROOT, DEFAULT_LIMITS).signed.keys
        shared = sorted(keyid for keyid, key in keys.items() if key.identity in image_keys)
        if shared:
            reason = (
                f"its {number}.root.json names the key {shared[0]}, which signs for this Director's Image repository"
            )
            raise WrongRepositoryError(path=str(path), found=OLD_IMAGE, wanted=OLD_DIRECTOR, reason=reason)
