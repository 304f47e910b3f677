"""The Root chain of the ``aktualizr`` profile: which keys sign it, and which Roots follow from one of the ``tuf`` chain.

The signed part of a Root does not name its chain. A Root of the ``tuf`` chain whose signatures are spelt in base64 is
therefore a Root of this chain for a client that trusts the same keys and waits for that number. So this chain has Root
keys of its own from its first Root on. A chain begun earlier may share them; it is handed over to its own, and until
then its numbers have to be those of the other chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import Key, Root

from twinlock.repository.aktualizr.readable_keys import READABLE_KINDS
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.keys.new_keys import NewKeys, make_keys
from twinlock.repository.keys.private_keys import KeyKind
from twinlock.repository.signing.named_keys import OWN_ROOT
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root as TrustedRoot
from twinlock.trust.names import ROOT
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.encode import Json, translate_root

_NO_KEYS: Json = {"keyids": [], "threshold": 1, "keys": {}}


@dataclass(frozen=True, slots=True)
class RootLink:
    """One Root of the profile to be signed: its number, its content, and who signs."""

    version: int
    signed: Json
    authorities: tuple[SigningAuthority, ...]
    also: SigningAuthority | None = None
    filler: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChain:
    """The chain as it is published: ``newest`` is its last Root (None before the first), ``tuf`` the other chain's.

    ``number`` is what number a Root of the other chain has in this one. ``handing_over``: the next Root brings keys of
    its own into a chain that shares those of the other one. ``stranded`` are the ids of keys that sign once more each Root
    that they need not sign, for vehicles that follow nothing else.
    """

    number: Callable[[int], int]
    newest: TrustedRoot | None
    tuf: Root | None
    handing_over: bool = False
    stranded: frozenset[str] = frozenset()

    @property
    def has_own_keys(self) -> bool:
        """Whether no Root key of this chain signs for the other one; a chain that is not begun will have its own."""
        if self.newest is None or self.tuf is None:
            return True
        return not self.newest.signers(ROOT) & identities(root_role(self.tuf))

    @property
    def is_numbered_apart(self) -> bool:
        """Whether Roots of the other chain could be offered in this one: shared keys under different numbers."""
        if self.has_own_keys or self.newest is None or self.tuf is None:
            return False
        return self.newest.version != self.tuf.version

    def check_may_change(self) -> None:
        """Refuse new keys while Roots of the other chain could bring the old ones back. Raises: ProfileError."""
        if self.is_numbered_apart:
            assert self.newest is not None
            assert self.tuf is not None
            raise numbered_apart(self.newest.version, self.tuf.version)

    def role_in(self, data: bytes) -> SigningAuthority | None:
        """The Root keys of its own that the next Root ``data``, signed elsewhere, brings; None in a chain that shares them.

        Raises: MalformedError, WeakKeyError.
        """
        return read_role(data) if self.has_own_keys or self.handing_over else None

    def links(
        self, root: Root, keyring: Keyring, new: Keyring | NewKeys, *, change: SigningAuthority | None
    ) -> Iterator[RootLink]:
        """The Roots that follow from ``root``, the next one of the other chain: one, and fillers where it hands over.

        ``change`` are new Root keys for this chain. A chain that still lacks its own gets them here, made by ``new``.
        Raises: ProfileError for keys that the client cannot read, or that both chains would have.
        """
        # What this form cannot express is refused before keys are made.
        translate_root(root.to_dict(), own_root=_NO_KEYS)
        version = self.number(root.version)
        before = None if self.newest is None else authority_of(self.newest)
        if self.handing_over:
            assert self.newest is not None
            assert before is not None
            for number in range(self.newest.version + 1, version):
                yield RootLink(number, translate_root(root.to_dict(), version=number), (before,), filler=True)
        after = change or self._own_keys(root, keyring, new, before)
        if after is not None:
            check_apart(after, root)
        signed = translate_root(root.to_dict(), version=version, own_root=None if after is None else role_json(after))
        signers = [after or root_role(root), *([before] if before else [])]
        also = held_authority(keyring, self.stranded) if self.stranded and after is not None else None
        yield RootLink(version, signed, tuple(signers), also)

    def _own_keys(
        self, root: Root, keyring: Keyring, new: Keyring | NewKeys, before: SigningAuthority | None
    ) -> SigningAuthority | None:
        if self.newest is None or self.handing_over:
            return own_keys(keyring, new, like=root_role(root))
        return before if self.has_own_keys else None


def filler_name(version: int) -> str:
    """What a filler of that number is called among files that were signed elsewhere."""
    return f"{version}.{ROOT}"


def own_keys(keyring: Keyring, new: Keyring | NewKeys, *, like: SigningAuthority) -> SigningAuthority:
    """As many Root keys for the chain as ``like`` has: first those that an interrupted attempt left, then ones that ``new`` makes."""
    kinds = _readable(KeyPlan.like(like.keys.values(), like.threshold).kinds)
    records = keyring.records(OWN_ROOT)[: len(kinds)]
    records += make_keys(new, OWN_ROOT, kinds[len(records) :])
    return SigningAuthority({record.keyid: record.authoring_key for record in records}, like.threshold)


def new_own_keys(keyring: Keyring | NewKeys, plan: KeyPlan) -> SigningAuthority:
    """New Root keys for the chain by ``plan``, of kinds that the client reads."""
    records = make_keys(keyring, OWN_ROOT, _readable(plan.kinds))
    return SigningAuthority({record.keyid: record.authoring_key for record in records}, plan.threshold)


def _readable(kinds: Iterable[KeyKind]) -> tuple[KeyKind, ...]:
    """Each kind that the client reads; ed25519 in place of the others."""
    return tuple(kind if kind in READABLE_KINDS else KeyKind.ED25519 for kind in kinds)


def held_authority(keyring: Keyring, keyids: frozenset[str]) -> SigningAuthority:
    """Those of ``keyids`` that are held here; nothing depends on how many."""
    return SigningAuthority({record.keyid: record.authoring_key for record in keyring.held(sorted(keyids))}, 1)


def authority_of(root: TrustedRoot) -> SigningAuthority:
    """Who signs for Root by a Root of this profile."""
    role = root.roles[ROOT]
    keys = {
        str(keyid): Key.from_dict(str(keyid), root.keys[keyid].as_json()) for keyid in role.keyids if keyid in root.keys
    }
    return SigningAuthority(keys, role.threshold)


def root_role(root: Root) -> SigningAuthority:
    """Who signs for Root by a Root of the other chain."""
    role = root.roles[ROOT]
    return SigningAuthority({keyid: root.keys[keyid] for keyid in role.keyids}, role.threshold)


def role_json(authority: SigningAuthority) -> Json:
    """A Root role as ``translate_root`` wants it."""
    keys = {keyid: key.to_dict() for keyid, key in authority.keys.items()}
    return {"keyids": list(authority.keyids), "threshold": authority.threshold, "keys": keys}


def identities(authority: SigningAuthority) -> frozenset[bytes]:
    """The key material of ``authority``."""
    return frozenset(_public(keyid, key).identity for keyid, key in authority.keys.items())


def check_apart(own: SigningAuthority, root: Root) -> None:
    """Refuse Root keys for this chain that sign for the other one too. Raises: ProfileError."""
    if identities(own) & identities(root_role(root)):
        reason = (
            "its Root keys sign for the tuf chain too, so vehicles could be given the Roots of that one; "
            "prepare it again, which makes keys for this chain alone"
        )
        raise ProfileError(profile=form.NAME, what=ROOT, reason=reason)


def read_role(data: bytes) -> SigningAuthority:
    """Who signs for Root by a Root file of this profile. Raises: MalformedError, WeakKeyError."""
    return authority_of(AKTUALIZR.decode_root(data, f"{form.NAME}/{ROOT}", DEFAULT_LIMITS).signed)


def numbered_apart(version: int, tuf: int) -> ProfileError:
    """The refusal to change keys in a chain whose keys the other chain has, under other numbers."""
    reason = (
        f"Root {version} of this profile follows tuf Root {tuf} and has the same Root keys, so a vehicle can be given "
        "old tuf Roots, and revoked keys with them; first hand the chain over to Root keys of its own (--hand-over)"
    )
    return ProfileError(profile=form.NAME, what=ROOT, reason=reason)


def _public(keyid: str, key: Key) -> PublicKey:
    values: Mapping[str, Any] = key.keyval
    return load_key(keyid, keytype=key.keytype, scheme=key.scheme, public=values["public"])
