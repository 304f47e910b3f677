"""Errors that only a repository has. What client and servers share is in ``twinlock.trust.errors``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from twinlock.trust.errors.base import Attack, RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.local import PassphraseError
from twinlock.trust.errors.metadata import UnlistedRoleError
from twinlock.trust.text.printable import printable

_SHOWN_IMAGES = 50


class ConfigMemberError(UsageError):
    """A member of a configuration that it cannot have, or with a value that it cannot have. ``member`` is its path in the file."""

    template = "{path}: {member} {reason}"
    path: str
    member: str


class MissingKeysError(UsageError):
    """Too few of a role's private keys are held here to sign for it."""

    code = "missing-keys"
    template = (
        "{role} needs {required} signatures, but only {held} of its keys are on this machine (its keys: {keyids})"
    )
    hint = (
        "run this where the keys are, or bring their directory here (config.json states where keys are looked for); keys that "
        "`keys list` shows as lost have to be replaced with `rotate`, which needs the Root keys"
    )
    role: str
    required: int
    held: int
    keyids: tuple[str, ...]


class MissingPostQuantumKeyError(MissingKeysError):
    """Enough of a role's keys are held here, but none of the kind that one signature is demanded by."""

    code = "missing-post-quantum-key"
    template = (
        "{role} requires a post-quantum signature, but none of its ml-dsa keys is on this machine (its keys: {keyids})"
    )


class OldPassphraseError(PassphraseError):
    """A private key of a repository that is taken over, which the given passphrase does not open."""

    template = "the passphrase for the old keys does not decrypt the key {path}"
    hint = "use --keys-passphrase-file with the passphrase of the old keys; all of them need the same one, or none"


class WrongRepositoryError(UsageError):
    """Files of one of the two repositories where those of the other are to be continued: its keys would sign for both."""

    code = "wrong-repository"
    template = "{path} holds the files of {found}, and only {wanted} can be continued here: {reason}"
    hint = "name the old files and keys of the other repository; one set of keys must not sign for both"
    path: str
    found: str
    wanted: str
    reason: str


class OstreeCommitError(UsageError):
    """A commit that the OSTree repository does not hold, or does not hold whole."""

    code = "ostree-commit"
    template = "commit {commit} of {repository} cannot be listed: {reason}"
    hint = "commit to that repository, or copy the whole commit into it with `ostree pull-local`, and check it with `ostree fsck`"
    commit: str
    repository: str
    reason: str


class ImageUriError(UsageError):
    """An address that no image may be listed with."""

    code = "image-uri"
    template = "{uri} cannot be used as an image URL: {reason}"
    hint = "give an https address that every vehicle can reach, without credentials in it"
    uri: str
    reason: str


class StoreTamperedError(TwinlockError):
    """The store holds something that our own keys did not sign, or an older state than we have seen there."""

    code = "store-tampered"
    by_rule = True
    template = "the store does not match what was published: {reason}"
    hint = "do not sign anything until you know who changed the store; restore it from a copy you trust"
    reason: str


class NotDelegatedError(RefusalError):
    """A supplier lists images, or hardware, that were not delegated to it: outside of its delegation, by mistake or not.

    ``field`` is what is beyond of the first one, ``target``: ``name`` or ``hardware``. ``others`` are the next ones, ``more`` is the
    number of those after them.
    """

    code = "not-delegated"
    clause = "Uptane 2.1.0 5.4.4.7"
    template = "{role} lists {target}, but the {field} {value} is not delegated to it (allowed: {allowed})"
    hint = (
        "nothing was accepted; have the supplier remove what is not its own (`twinlock supplier remove`) and sign again, or "
        "delegate it too (`twinlock image delegate`)"
    )
    role: str
    target: str
    field: str
    value: str
    allowed: tuple[str, ...]
    others: tuple[str, ...] = ()
    more: int = 0

    @classmethod
    def of(cls, beyond: Sequence[NotDelegatedError]) -> Self:
        """One refusal for all images ``beyond`` the delegation: the first with its reason, and the names of the next ones."""
        others = tuple(error.target for error in beyond[1 : _SHOWN_IMAGES + 1])
        return cls(**(beyond[0].fields() | {"others": others, "more": len(beyond) - 1 - len(others)}))

    def __str__(self) -> str:
        if not self.others:
            return super().__str__()
        more = f" and {self.more} more" if self.more else ""
        return printable(f"{super().__str__()}; nor are {', '.join(self.others)}{more}")


class VersionJumpError(RefusalError):
    """A supplier's file whose version leaves none above it, or far fewer than it had: it could never be replaced."""

    code = "version-jump"
    attack = Attack.DENIAL_OF_SERVICE
    clause = "Uptane 2.1.0 5.2.1"
    template = "{role} has version {offered}, more than {limit} above {known}, the last version accepted here"
    hint = (
        "nothing was accepted; have the supplier sign again in a workspace whose outbox holds the last accepted file, or with "
        "`twinlock supplier sign --above` that version"
    )
    role: str
    offered: int
    known: int
    limit: int


class RoleTakenError(RefusalError):
    """A delegation to the name of a role that exists, with keys that did not sign its file: every search would fail there.

    ``delegator`` is who delegates with those keys, ``owners`` are the other roles that delegate to ``role``.
    """

    code = "role-taken"
    attack = Attack.DENIAL_OF_SERVICE
    clause = "Uptane 2.1.0 5.4.4.7"
    template = "{delegator} names keys for {role} that did not sign its file; the name {role} is in use (delegated by: {owners})"
    hint = (
        "nothing was accepted; every delegated role needs a name of its own: have the delegator choose another one. For new "
        "keys of one role, its file signed by them belongs in the same outbox, and all its delegators have to name them"
    )
    delegator: str
    role: str
    owners: tuple[str, ...]


class RoleReservedError(RoleTakenError):
    """A first file of a role, not signed by the keys that its delegators name: another supplier's name, or a wrong key file.

    ``delegator`` is empty, as the file came in an outbox; ``owners`` are the roles that delegate to ``role``.
    """

    template = "the outbox holds the first file of {role}, which is not signed by the keys that {owners} delegated to"
    hint = (
        "nothing was accepted; if you delegated that name to another supplier, have this one choose a name of its own "
        "(`twinlock supplier init --role`). If you delegated it to this one, you have another key file: compare key ids with "
        "the supplier by a channel that you trust before you delegate again"
    )
    delegator: str = ""


class MissingRoleFileError(UnlistedRoleError):
    """A delegation to a role that has no file, neither in the repository nor in the outbox that delegates."""

    template = "{delegator} delegates to the role {role}, which has no file"
    delegator: str


class UnacceptableEntryError(RefusalError):
    """A supplier's entry that we would not have written: vehicles or our resolver could not use it."""

    code = "unacceptable-entry"
    clause = "Uptane 2.1.0 5.2.3.1"
    template = "{role} lists {target}: {reason}"
    role: str
    target: str
    reason: str


class OutboxImageError(TwinlockError):
    """The bytes of an image that a supplier lists are missing in the outbox, or are not those that the entry describes."""

    code = "outbox-image"
    by_rule = True
    template = "nothing was accepted: {role} lists {target}, but the file in the outbox does not match: {reason}"
    hint = "copy the whole outbox again; if the error persists, ask the supplier for a new one"
    role: str
    target: str
    reason: str


class SigningClockError(TwinlockError):
    """The clock of a signer cannot be right, or was not right before. Nothing was signed."""

    code = "signing-clock"
    by_rule = True
    template = "nothing was signed: the clock shows {now}"
    now: datetime


class ClockBehindError(SigningClockError):
    """The clock shows a time before the last signature: either it is behind now, or it was ahead then."""

    code = "signing-clock-behind"
    template = "nothing was signed: the clock shows {now}, which is before the last signature at {signed}"
    hint = (
        "compare this machine's clock with another one. If it is behind, set it and repeat. If it is right, it was ahead "
        "when the last signature was made: `twinlock image recover-clock` or `twinlock director recover-clock` corrects that"
    )
    signed: datetime


class ClockContradictedError(SigningClockError):
    """A second, authenticated source of time contradicts the clock. ``how`` is the relation of ``other`` to that source."""

    code = "signing-clock-contradicted"
    template = "nothing was signed: the clock shows {now}, and {source} {how} {other}"
    hint = (
        "compare this machine's clock with another one and set it. If it is right, the other source is wrong: refresh a "
        "repository that expired, or use `recover-clock` on one that signed in the future"
    )
    source: str
    how: str
    other: datetime


class NothingToRecoverError(UsageError):
    """The recovery of a signing clock that was never ahead."""

    code = "nothing-to-recover"
    template = "no metadata in force is signed in the future, so there is nothing to correct"


class FutureSignatureError(RefusalError):
    """A file that states a time of the future as its time of signing. No publisher puts it in force."""

    code = "future-signature"
    clause = "Uptane 2.1.0 5.2.1"
    template = "{name} is signed in the future: at {issued}; the time is {now}"
    hint = "correct the clock of the machine that signed it, and sign it again"
    name: str
    issued: datetime
    now: datetime


class RootPreparedError(TwinlockError):
    """Another Root, while one of the same number is being signed by others: vehicles would take either."""

    code = "root-prepared"
    by_rule = True
    template = (
        "Root {version} is being signed elsewhere ({path} is a copy), so no other Root with that number can be made"
    )
    hint = "publish it with `root publish`; while it lacks signatures, or once it has expired, `root cancel` ends it"
    version: int
    path: str


class OtherRepositoryError(UsageError):
    """A Root of the other repository, in a command for this one. ``found`` and ``expected`` are ``Director`` and ``Image``."""

    code = "other-repository"
    template = "{path} holds a Root of the {found} repository, not of the {expected} repository"
    hint = "use the same command of the other repository (`twinlock director root`, `twinlock image root`), or the right file"
    path: str
    found: str
    expected: str


class RootCancelledError(TwinlockError):
    """A Root whose ceremony was ended here, and that comes back: other Roots of its number may be under way."""

    code = "root-cancelled"
    by_rule = True
    template = "Root {version} was cancelled and cannot be published"
    hint = "destroy every copy of its file, and prepare the next one with `rotate --prepare FILE`"
    version: int


class RootCompleteError(TwinlockError):
    """The cancelling of a Root that has all its signatures: every vehicle that meets a copy of it takes it."""

    code = "root-complete"
    by_rule = True
    template = "Root {version} in {path} has all its signatures, so it cannot be cancelled"
    hint = "publish it with `root publish`, then replace its keys in the next Root"
    version: int
    path: str


class StoredImageError(StoreTamperedError):
    """The stored bytes of a listed image are missing, or are not those that its entry describes."""

    code = "stored-image"
    template = "nothing was signed: the stored file of {target} does not match its entry: {reason}"
    hint = "add the right file again under the same name, or remove the image; find out who changed the store before you sign"
    target: str


class NotReadyError(TwinlockError):
    """A server that runs and cannot do all of its work: what vehicles need has expired, or cannot be signed or stored."""

    code = "not-ready"
    template = "not ready: {reasons}"
    joined = "; "
    reasons: tuple[str, ...]
