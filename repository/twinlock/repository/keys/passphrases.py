"""The passphrases of a keyring: one for both places, or one for each, and changing them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from twinlock.io.files.durable import clean_stale, read_file
from twinlock.repository.keys.private_keys import (
    MAX_KEY_FILE_BYTES,
    Passphrase,
    Secret,
    SeparatePassphrases,
    is_encrypted,
    read_private_key,
    replace_private_key,
)
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import PassphraseError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["change_passphrase", "offline_secret", "online_secret", "secret_for_new"]


def offline_secret(passphrase: Passphrase) -> Secret:
    """The passphrase of keys that people sign with."""
    return passphrase.offline if isinstance(passphrase, SeparatePassphrases) else passphrase


def online_secret(passphrase: Passphrase) -> Secret:
    """The passphrase of keys that automation signs with."""
    return passphrase.online if isinstance(passphrase, SeparatePassphrases) else passphrase


def secret_for_new(secret: Secret, place: Path, others: Iterable[Path]) -> Secret:
    """Under which passphrase a new key in ``place`` has to be written, so that its neighbours and it open alike.

    ``others`` are the keyring's directories, which decide where ``place`` holds no key yet. Where ``place`` holds plain keys
    and the others encrypted ones, the passphrase is that of the others. A passphrase that has to
    be asked for is asked for where the neighbours are encrypted, and where no other key is here.
    Raises: UsageError for a passphrase where the other keys have none, PassphraseError if it does not open the others.
    """
    elsewhere = [path for other in others if other != place for path in _private_files(other)]
    present = _private_files(place) or elsewhere
    encrypted = [path for path in present if is_encrypted(path)]
    if not encrypted and present and secret is not None:
        apart = [path for path in elsewhere if is_encrypted(path)]
        if apart:
            read_private_key(apart[0], secret)
            return None
    if encrypted:
        read_private_key(encrypted[0], secret)
        return secret
    if not present:
        return secret
    if callable(secret):
        return None
    if secret is not None:
        reason = (
            f"a passphrase was given, and the keys in {present[0].parent} have none; give none, "
            "or encrypt them first (twinlock image keys passphrase, twinlock director keys passphrase)"
        )
        raise UsageError(reason=reason)
    return None


def change_passphrase(places: Iterable[Path], old: Secret, new: Secret) -> tuple[Path, ...]:
    """Write every private key in ``places`` again under ``new`` (None: without one); returns the files.

    All keys are opened before one is written. Repeat a change that was interrupted: keys that ``new`` already opens stay as
    they are, and unfinished copies of keys are removed. Raises: PassphraseError, StorageError, UsageError if there is no key.
    """
    places = tuple(dict.fromkeys(places))
    for place in places:
        clean_stale(place)
    files = (path for place in places for path in _private_files(place))
    paths = tuple(
        path for path in files if b"PRIVATE KEY-----" in (read_file(path, max_bytes=MAX_KEY_FILE_BYTES) or b"")
    )
    if not paths:
        raise UsageError(reason="there are no private keys here")
    opened = {path: _open(path, old, new) for path in paths}
    for path, private in opened.items():
        replace_private_key(path, private, new)
    return paths


def _open(path: Path, old: Secret, new: Secret) -> PrivateKeyTypes:
    try:
        return read_private_key(path, old)
    except PassphraseError:
        if new is None:
            raise
        return read_private_key(path, new)


def _private_files(place: Path) -> list[Path]:
    return sorted(place.glob("*.pem")) if place.is_dir() else []
