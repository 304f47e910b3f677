"""Errors that only a repository has. What client and servers share is in ``twinlock.trust.errors``."""

from __future__ import annotations

from twinlock.trust.errors.base import Attack, RefusalError, TwinlockError, UsageError


class MissingKeysError(UsageError):
    """Too few of a role's private keys are held here to sign for it."""

    code = "missing-keys"
    template = "{role} needs {required} signatures, and {held} of its keys are held here (its keys: [{keyids}])"
    hint = "run this where the keys are, or bring their directory here (config.json says where keys are looked for)"
    reason: str = ""
    role: str
    required: int
    held: int
    keyids: tuple[str, ...]


class StoreTamperedError(TwinlockError):
    """The store holds something that our own keys did not sign, or an older state than we have seen there."""

    code = "store-tampered"
    by_rule = True
    template = "the store is not as it was published: {reason}"
    hint = "do not sign anything until you know who changed the store; restore it from a copy you trust"
    reason: str


class NotDelegatedError(RefusalError):
    """A supplier lists an image, or hardware, that was not delegated to it. ``field`` is what goes beyond."""

    code = "not-delegated"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.4.4.7"
    template = "{role} lists {target}, but {field} {value} is not delegated to it (allowed: [{allowed}])"
    role: str
    target: str
    field: str
    value: str
    allowed: tuple[str, ...]


class UnacceptableEntryError(RefusalError):
    """A supplier's entry that we would not have written: vehicles or our resolver could not use it."""

    code = "unacceptable-entry"
    attack = Attack.ARBITRARY_SOFTWARE
    clause = "Uptane 2.1.0 5.2.3.1"
    template = "{role} lists {target}: {reason}"
    role: str
    target: str
    reason: str
