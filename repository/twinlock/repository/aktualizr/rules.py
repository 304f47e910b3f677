"""What aktualizr can use, asked while something is staged because publishing for it would refuse the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuf.api.metadata import TargetFile, Targets

from twinlock.repository.aktualizr.encoder import check_says_the_same
from twinlock.repository.aktualizr.names import NamedBytes, check_name, reused_name
from twinlock.repository.aktualizr.readable_keys import check_plans
from twinlock.repository.aktualizr.signing import sign_aktualizr
from twinlock.repository.authoring.apply_draft import check_readable, verify_delegated
from twinlock.repository.authoring.delegations import AuthoredDelegation, Member, write_delegations
from twinlock.repository.authoring.written_form import Spelling, check_written, parse_targets
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.repository.store.interface import ObjectStore
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import TARGETS
from twinlock.trust.wire.aktualizr import form, members
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.encode import checked_size, translate_targets
from twinlock.trust.wire.aktualizr.patterns import check_alike

_SPELLING = Spelling(
    is_odd=lambda item: members.read_signature(item, DEFAULT_LIMITS) is None, usual="base64 with a known method"
)


class AktualizrRules:
    """See ``ProfileRules``."""

    name = form.NAME

    def check_plans(self, plans: Mapping[str, KeyPlan], *, shared_root: bool = False) -> None:
        """See ``ProfileRules``."""
        check_plans(plans, shared_root=shared_root)

    def check_role(self, role: str) -> None:
        """See ``ProfileRules``."""
        if not form.is_fetchable(role):
            raise ProfileError(profile=form.NAME, what=role, reason="aktualizr cannot request a role with this name")

    def check_entry(self, store: ObjectStore, path: str, entry: TargetFile, listed: TargetFile | None) -> None:
        """See ``ProfileRules``: also refused is a name that stood for other bytes."""
        self.check_targets(TARGETS, Targets(targets={path: entry}))
        offered = NamedBytes(entry.length, entry.hashes["sha256"])
        if listed is None or listed.hashes.get("sha256") != offered.sha256:
            check_name(store, path, offered)

    def check_signed_before(self, path: str, entry: TargetFile, before: TargetFile) -> None:
        """See ``ProfileRules``: a name stands for the same bytes forever."""
        if before.hashes != entry.hashes:
            raise reused_name(path, before.hashes.get("sha256", ""))

    def check_delegation(self, delegator: str, delegation: AuthoredDelegation) -> None:
        """See ``ProfileRules``."""
        check_alike(delegation.name, delegation.paths or ())
        targets = Targets()
        write_delegations(targets, [delegation])
        self.check_targets(delegator, targets)

    def check_targets(self, role: str, targets: Targets) -> None:
        """See ``ProfileRules``."""
        translate_targets(role, targets.to_dict())

    def sign_targets(self, role: str, targets: Targets, authority: SigningAuthority, keyring: Keyring) -> bytes:
        """See ``ProfileRules``."""
        signed = translate_targets(role, targets.to_dict())
        return sign_aktualizr(role, signed, [authority], keyring, max_bytes=form.MAX_BYTES[TARGETS])

    def check_file(self, role: str, data: bytes, other: bytes, members: Iterable[Member]) -> None:
        """See ``ProfileRules``."""
        checked_size(role, other, form.MAX_BYTES[TARGETS])
        for member in members:
            check_readable(verify_delegated(other, member, wire=AKTUALIZR))
        check_written(f"the file of {role} for {form.NAME}", other, spelling=_SPELLING)
        check_says_the_same(role, other, translate_targets(role, parse_targets(role, data).to_dict()))

    def missing_file(self, role: str) -> ProfileError:
        """See ``ProfileRules``."""
        reason = (
            "the outbox holds its file in one form, and this repository publishes two; its owner has to sign it in both "
            "(twinlock supplier wire DIRECTORY aktualizr, then twinlock supplier sign)"
        )
        return ProfileError(profile=form.NAME, what=role, reason=reason)
