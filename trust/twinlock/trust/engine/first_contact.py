"""First contact with a repository: whether what it publishes follows from the Root that an operator was given for it.

A mismatch is the operator's own mistake (two files swapped, another server's address) and never an attack:
nothing is trusted yet except what the operator provided.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote, urlsplit

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.timestamp import check_timestamp
from twinlock.trust.engine.commands import ABSENT, Steps
from twinlock.trust.engine.fetching import bound, fetch
from twinlock.trust.engine.refresh import refresh_repository, walk_roots
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import VehicleMismatchError
from twinlock.trust.errors.metadata import ExpiredError, MissingMetadataError
from twinlock.trust.errors.usage import ForeignMetadataError, GivenRootError, NotPublishedError, VehicleUrlError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, TIMESTAMP, RepositoryName, VehicleId
from twinlock.trust.policy import STRICT, Policy
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF


def is_base_url(location: str) -> bool:
    """Whether ``location`` is an http(s) URL that the names of files can be appended to."""
    try:
        parts = urlsplit(location)
        whole = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        return False
    plain = location.isascii() and location.isprintable() and not set(location) & set(' "<>\\^`{|}')
    return whole and plain and parts.scheme in ("http", "https")


def check_vehicle_url(location: str, vehicle: VehicleId) -> None:
    """Refuse a URL of the form ``.../vehicles/OTHER``. Of one in another form this is unknown. Raises: VehicleUrlError."""
    *_, parent, last = ("", *urlsplit(location).path.rstrip("/").split("/"))
    if parent == "vehicles" and unquote(last) != vehicle:
        raise VehicleUrlError(location=location, offered=unquote(last), expected=vehicle)


def check_given_root(name: RepositoryName, root: bytes, *, wire: WireProfile = TUF) -> TrustedRepository:
    """The trust that a Root given for ``name`` gives.

    Raises: RefusalError if it is not a Root; GivenRootError if an Image repository's Root is a Director's, or the other way
    round: only a Director's names a source of time, and in the ``tuf`` profile each Director's does.
    """
    anchor = bootstrap_repository(name, root, wire=wire)
    timed = anchor.root.signed.time_source is not None
    if name == IMAGE and timed:
        reason = "it names a source of time, as only a Director's does; swap the two files"
        raise GivenRootError(repository=IMAGE, reason=reason)
    if name == DIRECTOR and not timed and wire is TUF:
        reason = (
            "it names no source of time, as a Director's does; give the Root of the Director, or swap the two files"
        )
        raise GivenRootError(repository=DIRECTOR, reason=reason)
    return anchor


def check_given_roots(director: TrustedRepository, image: TrustedRepository | None) -> None:
    """Refuse one file given for both repositories. Raises: GivenRootError."""
    if image is not None and director.root.data == image.root.data:
        reason = "it is given for the Director as well; each repository has a Root of its own"
        raise GivenRootError(repository=IMAGE, reason=reason)


def meet_image_repository(
    anchor: TrustedRepository, now: datetime, *, location: str, policy: Policy = STRICT
) -> Steps[tuple[str, ...]]:
    """Read the Image repository at ``location`` under ``anchor`` as a vehicle would; returns warnings.

    ``now`` is UTC. Raises: NotPublishedError, ForeignMetadataError if that is not an Image repository of that Root.
    Source: Uptane 2.1.0 5.4.1 (what an ECU has to hold when it is made).
    """
    try:
        if not (yield from _meet_root(anchor, now, location)):
            reason = f"it does not serve Root {anchor.root.signed.version}"
            raise NotPublishedError(repository=IMAGE, location=location, reason=reason)
        yield from refresh_repository(anchor, now, policy=policy)
    except ExpiredError as error:
        return (f"{location}: {error}; renew it before vehicles read it",)
    except MissingMetadataError as error:
        reason = f"it is another server, or has published nothing yet ({error})"
        raise NotPublishedError(repository=IMAGE, location=location, reason=reason) from error
    except RefusalError as error:
        raise _unfit(anchor, location, str(error)) from error
    return ()


def meet_director(
    anchor: TrustedRepository, now: datetime, *, location: str, vehicle: VehicleId, policy: Policy = STRICT
) -> Steps[tuple[str, ...]]:
    """Follow the Root chain of the Director at ``location`` from ``anchor``, and read whose Timestamp it serves; returns warnings.

    The ``vehicle`` need not be registered there, so there may be nothing to read but Roots.
    ``now`` is UTC. Raises: NotPublishedError, ForeignMetadataError if that is not a Director of that Root; VehicleUrlError if it serves
    another vehicle there.
    """
    version = anchor.root.signed.version
    try:
        if not (yield from _meet_root(anchor, now, location)):
            reason = f"it does not serve Root {version}, so it is not this vehicle's URL at a Director"
            raise NotPublishedError(repository=DIRECTOR, location=location, reason=reason)
        newest = yield from walk_roots(anchor, _context(anchor, now))
        expired = yield from _meet_vehicle(newest, _context(anchor, now)._replace(vehicle=vehicle, policy=policy))
    except VehicleMismatchError as error:
        raise VehicleUrlError(location=location, offered=error.offered, expected=vehicle) from error
    except RefusalError as error:
        raise _unfit(anchor, location, str(error)) from error
    if newest.root.signed.expires <= now:
        return (f"{location}: its newest Root expired at {newest.root.signed.expires:%Y-%m-%dT%H:%M:%SZ}; renew it",)
    return (f"{location}: {expired}; renew it before the vehicle reads it",) if expired is not None else ()


def _meet_vehicle(director: TrustedRepository, context: Context) -> Steps[ExpiredError | None]:
    """Judge the Timestamp, if there is one; returns how it expired.

    Raises: VehicleMismatchError for that of another vehicle, any other refusal of it.
    """
    root = director.root.signed
    if not root.has_index:
        return None
    data = yield from fetch(context, TIMESTAMP, None, bound(context, TIMESTAMP))
    if isinstance(data, bytes):
        try:
            check_timestamp(data, root=root, trusted=None, floor=None, context=context)
        except ExpiredError as error:
            return error
    return None


def _meet_root(anchor: TrustedRepository, now: datetime, location: str) -> Steps[bool]:
    """Whether the Root given is served; only that distinguishes a chain without a newer Root from a place without any.

    Raises: ForeignMetadataError if another Root is served under its number.
    """
    context, version = _context(anchor, now), anchor.root.signed.version
    data = yield from fetch(context, ROOT, version, bound(context, ROOT))
    if data is ABSENT:
        return False
    if _signed_part(data, context) != _signed_part(anchor.root.data, context):
        raise _unfit(anchor, location, f"its Root {version} has other content")
    return True


def _context(anchor: TrustedRepository, now: datetime) -> Context:
    return Context(repository=anchor.name, now=now, limits=DEFAULT_LIMITS, wire=anchor.wire, policy=STRICT)


def _signed_part(data: bytes, context: Context) -> bytes:
    envelope = context.decode(ROOT, context.wire.decode_root, data)
    return envelope.payload if envelope.canonical is None else envelope.canonical()


def _unfit(anchor: TrustedRepository, location: str, detail: str) -> ForeignMetadataError:
    reason = f"what it publishes is not signed under that Root; check the address and the file ({detail})"
    return ForeignMetadataError(repository=anchor.name, location=location, reason=reason)
