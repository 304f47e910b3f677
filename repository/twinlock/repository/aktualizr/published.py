"""What is published in the ``aktualizr`` profile now, read back and verified before a Timestamp is signed over it.

Nothing in the store is trusted here either: the Root chain is followed from the Root that is kept with the keys, and
every file has to have the version that the verified ``tuf`` form states.
"""

from __future__ import annotations

from datetime import UTC, datetime

from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.store.interface import ObjectReader
from twinlock.repository.store.object_names import aktualizr_object
from twinlock.repository.workspace.current import CurrentPublication
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import check_listed_bytes, check_listed_version
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import bootstrap_repository, restore_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

CONTEXT = Context(
    repository=IMAGE, now=datetime.min.replace(tzinfo=UTC), limits=DEFAULT_LIMITS, wire=AKTUALIZR, policy=LAX
)


def is_published(store: ObjectReader, version: int) -> bool:
    """Whether publication ``version`` was made in the profile too."""
    return store.get(aktualizr_object(TIMESTAMP, version), max_bytes=form.MAX_BYTES[TIMESTAMP]) is not None


def read_published_profile(
    store: ObjectReader, published: CurrentPublication, *, anchor: bytes | None, wires: PublishedProfiles
) -> TrustedRepository:
    """The published state as a vehicle of this profile would have stored it. Raises: StoreTamperedError.

    ``anchor`` is the newest Root of the profile that was seen here.
    """
    if anchor is None:
        raise StoreTamperedError(reason="the Root of the aktualizr profile that was seen last is not kept here")
    try:
        root = _newest_root(store, anchor, version=wires.chain_version(published.root.signed.version))
        files = {ROOT: root, **{RoleName(role): data for role, data in _listed_files(store, published).items()}}
        trusted = restore_repository(IMAGE, files, wire=AKTUALIZR)
        _check_whole(trusted, published)
    except RefusalError as error:
        raise StoreTamperedError(reason=str(error)) from error
    return trusted


def _newest_root(store: ObjectReader, anchor: bytes, *, version: int) -> bytes:
    root = bootstrap_repository(IMAGE, anchor, wire=AKTUALIZR).root
    while root.signed.version < version:
        root = check_next_root(_required(store, ROOT, root.signed.version + 1), trusted=root, context=CONTEXT)
    if root.signed.version != version:
        raise StoreTamperedError(
            reason=f"Root {root.signed.version} of the aktualizr profile has no counterpart in the tuf profile"
        )
    return root.data


def _listed_files(store: ObjectReader, published: CurrentPublication) -> dict[str, bytes]:
    assert published.trusted.snapshot is not None
    files: dict[str, bytes] = {
        TIMESTAMP: _required(store, TIMESTAMP, published.version),
        SNAPSHOT: _required(store, SNAPSHOT, published.trusted.snapshot.signed.version),
    }
    return files | {role: _required(store, role, published.listed[role].version) for role, _ in published.walk()}


def _check_whole(trusted: TrustedRepository, published: CurrentPublication) -> None:
    """Every file is signed by its keys, and the indexes fit. Raises: StoreTamperedError, MixAndMatchError."""
    for role in (TIMESTAMP, SNAPSHOT, TARGETS):
        if getattr(trusted, role) is None:
            raise StoreTamperedError(reason=f"{role} of the aktualizr profile is not signed by its keys")
    assert trusted.timestamp is not None
    assert trusted.snapshot is not None
    assert trusted.targets is not None
    if trusted.timestamp.signed.version != published.version:
        raise StoreTamperedError(reason="Timestamp of the aktualizr profile has another version than its name states")
    listed = trusted.timestamp.signed.snapshot
    check_listed_bytes(trusted.snapshot.data, listed, SNAPSHOT, CONTEXT)
    check_listed_version(trusted.snapshot.signed, listed, SNAPSHOT, CONTEXT)
    check_listed_version(trusted.targets.signed, trusted.snapshot.signed.targets[TARGETS], TARGETS, CONTEXT)


def _required(store: ObjectReader, role: str, version: int) -> bytes:
    name = aktualizr_object(role, version)
    stored = store.get(name, max_bytes=form.MAX_BYTES.get(role, form.MAX_BYTES[TARGETS]))
    if stored is None:
        raise StoreTamperedError(reason=f"{name} is missing")
    return stored.data
