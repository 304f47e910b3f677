"""Errors that only a repository has. What client and servers share is in ``twinlock.trust.errors``."""

from __future__ import annotations

from twinlock.trust.errors.base import TwinlockError, UsageError


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
    template = "the store is not as it was published: {reason}"
    hint = "do not sign anything until you know who changed the store; restore it from a copy you trust"
    reason: str
