"""Faults of this side or of the network: storage, transport, passphrases. None of them is a verdict on metadata."""

from __future__ import annotations

from typing import Any, ClassVar

from twinlock.trust.errors.base import Attack, TwinlockError


class TransportError(TwinlockError):
    """The network or the other end failed; the answer is unknown."""

    code = "transport"
    template = "{url}: {reason}"
    hint = "check that the server runs and that the address is right, then try again"
    url: str
    reason: str


class FetchError(TransportError):
    """The other end answered with a status that is neither success nor a plain absence."""

    code = "fetch"
    template = "{url} answered {status}: {reason}"
    status: int


class SlowRetrievalError(TransportError):
    """The other end sends more slowly than the floor, or does not finish in time: the attack of that name, or a very bad line.

    ``bytes_per_s`` is its measured speed, 0 if it sent nothing.
    """

    code = "slow-retrieval"
    template = "{url} is too slow: {reason} (it sent {bytes_per_s} bytes/s; the floor is {floor_bytes_per_s})"
    attack: ClassVar[Attack] = Attack.SLOW_RETRIEVAL
    clause: ClassVar[str] = "Uptane 2.1.0 5.4"
    bytes_per_s: int
    floor_bytes_per_s: int

    def as_json(self) -> dict[str, Any]:
        return super().as_json() | {"attack": self.attack.value, "clause": self.clause}


class StorageError(TwinlockError):
    """A file, directory or database could not be read or written. Nothing is half-written."""

    code = "storage"
    template = "cannot {operation} {path}: {reason}"
    path: str
    operation: str
    reason: str


class OperatorFileError(StorageError):
    """A file that an operator named is missing, unreadable, not a regular file, or far too large."""

    code = "operator-file"
    by_rule = True


class NewerStateError(StorageError):
    """State written by a newer version of this software."""

    code = "newer-state"
    template = "cannot {operation} {path}: its format is {found}; this version supports up to {supported} ({reason})"
    hint = "install the version that wrote it, or a newer one; nothing was changed"
    found: int
    supported: int


class PassphraseError(TwinlockError):
    """A private key that the given passphrase does not decrypt."""

    code = "passphrase"
    template = "the passphrase does not decrypt the key {path}"
    hint = "set TWINLOCK_PASSPHRASE or use --passphrase-file, and check that it belongs to this key"
    path: str


class ConflictError(TwinlockError):
    """Another process changed the same object first. The two changes were not mixed; look at the new state and try again."""

    code = "conflict"
    template = "{what} changed meanwhile: {reason}"
    hint = "run the command again; it will start from the new state"
    what: str
    reason: str


class StateInUseError(ConflictError):
    """Another process has the state of this ECU open."""

    code = "state-in-use"
    template = "{what} is in use: {reason}"
    hint = "stop the other process first, such as the service that runs this ECU, and run the command again"


class ProfileError(TwinlockError):
    """Data of this repository that a wire profile cannot express or its readers cannot read. Nothing was signed."""

    code = "wire-profile"
    by_rule = True
    template = "{what} cannot be published for {profile} clients: {reason}"
    profile: str
    what: str
    reason: str
