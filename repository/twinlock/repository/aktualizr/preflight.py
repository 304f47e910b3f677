"""Before a publication is made: the trust engine reads the ``aktualizr`` form of it as vehicles would, and has to accept.

The same vehicles as in ``publishing.preflight``: one that followed up to what is published in the profile now, and one that knows
only its first Root; after a hand-over of the chain also a newcomer, whose first Root is a later one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import aktualizr_object
from twinlock.repository.store.publication_log import LogRecord
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import check_listed_version
from twinlock.trust.checks.targets import Authority, read_targets
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.images import EndlessDataError, ImageNotFoundError
from twinlock.trust.errors.metadata import MissingMetadataError, UnlistedRoleError
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.delegations import Delegations
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import IMAGE, TARGETS, TargetPath
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR


class ProfileOverlay:
    """The profile as it would be served after ``record``: what the record brings, and behind it what is there."""

    def __init__(self, store: ObjectStore, record: LogRecord) -> None:
        self._store = store
        self._record = record

    def answer(self, command: Command) -> Answer:
        """Play the repository to the engine. Unversioned names mean the versions that the record's Timestamp leads to."""
        if not isinstance(command, Fetch):
            return None
        data = self.read(command.role, self._record.version if command.version is None else command.version)
        if data is None:
            return ABSENT
        if len(data) > command.max_bytes:
            raise EndlessDataError(what=command.name, limit_bytes=command.max_bytes, clause=command.clause)
        return data

    def read(self, role: str, version: int) -> bytes | None:
        """One file by the version in its name."""
        name = aktualizr_object(role, version)
        if name in self._record.files:
            return self._record.files[name]
        stored = self._store.get(name, max_bytes=form.MAX_BYTES.get(role, form.MAX_BYTES[TARGETS]))
        return stored.data if stored else None


def verify_profile(
    store: ObjectStore,
    record: LogRecord,
    *,
    published: TrustedRepository | None,
    first_roots: Iterable[bytes],
    images: Iterable[str],
    now: datetime,
) -> tuple[ImageEntry, ...]:
    """Have the engine accept the profile's part of ``record``, and find each of ``images`` in it; returns their entries.

    Raises: RefusalError.
    """
    overlay = ProfileOverlay(store, record)
    fresh = [bootstrap_repository(IMAGE, root, wire=AKTUALIZR) for root in first_roots]
    vehicles = [drive(refresh_repository(each, now), overlay.answer) for each in fresh]
    if published is not None:
        vehicles.append(drive(refresh_repository(published, now), overlay.answer))
    entries = []
    for path in images:
        seen = [drive(find_image(vehicle, TargetPath(path), None, now), overlay.answer).entry for vehicle in vehicles]
        if seen[0] is None or any(entry != seen[0] for entry in seen):
            raise ImageNotFoundError(target=path, repository=IMAGE, hardware_id="any")
        entries.append(seen[0])
    _check_delegated(vehicles[0], overlay, now)
    return tuple(entries)


def _check_delegated(vehicle: TrustedRepository, overlay: ProfileOverlay, now: datetime) -> None:
    """Every role that is delegated to has a file that is listed, and its delegator's keys signed it."""
    assert vehicle.targets is not None
    context = Context(repository=IMAGE, now=now, limits=DEFAULT_LIMITS, wire=AKTUALIZR, policy=LAX)
    queue: list[Delegations | None] = [vehicle.targets.signed.delegations]
    seen = set()
    while queue:
        delegations = queue.pop(0)
        if delegations is None:
            continue
        for member in (role for entry in delegations.entries for role in entry.roles):
            authority = Authority(member.name, delegations.keys, member.signers)
            targets = _read_delegated(vehicle, overlay, authority, context)
            if member.name not in seen:
                seen.add(member.name)
                queue.append(targets.signed.delegations)


def _read_delegated(
    vehicle: TrustedRepository, overlay: ProfileOverlay, authority: Authority, context: Context
) -> Verified[Targets]:
    assert vehicle.snapshot is not None
    listed = vehicle.snapshot.signed.targets.get(authority.role)
    if listed is None:
        raise UnlistedRoleError(repository=IMAGE, role=authority.role)
    data = overlay.read(authority.role, listed.version)
    if data is None:
        name = AKTUALIZR.file_name(authority.role, None)
        raise MissingMetadataError(repository=IMAGE, role=authority.role, name=name)
    targets = read_targets(data, authority=authority, context=context)
    check_listed_version(targets.signed, listed, authority.role, context)
    return targets
