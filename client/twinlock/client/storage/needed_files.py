"""Which metadata files an order needs: what a Secondary's own walk visits, and what this ECU may forget.

Source: Uptane 2.1.0 5.4.2.6 and 5.4.4.7.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.commands import ABSENT, Absent, Answer, Command, Fetch, FetchElsewhere, Persist, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.fetching import bound
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.names import DIRECTOR, ROOT, RepositoryName, RoleName
from twinlock.trust.policy import LAX, Policy
from twinlock.trust.state.repository_map import RepositoryMap
from twinlock.trust.state.trusted import Decision
from twinlock.trust.wire.profile import WireProfile

Visited = Mapping[RepositoryName, frozenset[RoleName]]
GetFile = Callable[[Fetch], Awaitable[bytes | Absent]]
GetElsewhere = Callable[[FetchElsewhere], Awaitable[bytes | None]]
_NEVER = datetime.min.replace(tzinfo=UTC)  # the expiry of a link is not judged, so no check may read the time


def visited_roles(
    decision: Decision, repositories: RepositoryMap, ecu: Ecu, *, limits: Limits, policy: Policy
) -> Visited | None:
    """The delegated roles that ``ecu`` opens when it judges its own orders: all that the walk visits, found or not.

    None if that is unknown, because the repositories were not refreshed in this cycle.
    """
    targets = decision.repositories[DIRECTOR].targets
    if targets is None:
        return None
    opened: dict[RepositoryName, frozenset[RoleName]] = {}
    images = targets.signed.images
    try:
        for path in images:
            if ecu.ecu not in images[path].ecus:
                continue
            for name in repositories.agreeing(path):
                searched = decision.repositories[name]._replace(opened=NOTHING)
                outcome = drive(
                    find_image(searched, path, ecu.hardware_id, decision.now, limits=limits, policy=policy),
                    _nothing_new,
                )
                opened[name] = opened.get(name, frozenset()) | {role for role, _ in outcome.trusted.opened}
    except TwinlockError:
        return None
    return opened


def unneeded_files(decision: Decision) -> Iterator[Persist]:
    """Deletions of stored delegated files that no order of this cycle led to. Their floors stay."""
    refreshed = {name for image in decision.approved for name in image.repositories if name != DIRECTOR}
    for name in sorted(refreshed):
        repository = decision.repositories[name]
        needed = {role for role, _ in repository.opened}
        unneeded = sorted(repository.delegated.keys() - needed)
        if unneeded:
            yield Persist(name, tuple((role, 0, None) for role in unneeded))


async def fetch_links(
    repository: RepositoryName,
    versions: range,
    known: bytes,
    *,
    wire: WireProfile,
    limits: Limits,
    fetch: GetFile,
    elsewhere: GetElsewhere,
) -> dict[int, bytes]:
    """The Roots ``versions``, from the highest down, that lead to ``known``, the Root after them.

    A spare part may trust an older Root than this Primary was made with. Each link is taken only if it names
    keys that signed the next one. Returns nothing if one is missing: a chain with a gap is useless.
    Raises: TransportError.
    """
    links: dict[int, bytes] = {}
    context = Context(repository=repository, now=_NEVER, limits=limits, wire=wire, policy=LAX)
    for version in versions:
        command = Fetch(repository, ROOT, version, wire.file_name(ROOT, version), bound(context, ROOT))
        data: bytes | Absent | None = await fetch(command)
        while isinstance(data, bytes):
            refusal = _refusal_of_link(data, known, context)
            if refusal is None:
                break
            data = await elsewhere(FetchElsewhere(command, refusal))
        if not isinstance(data, bytes):
            return {}
        links[version] = known = data
    return links


def _refusal_of_link(data: bytes, known: bytes, context: Context) -> RefusalError | None:
    try:
        older = bootstrap_repository(context.repository, data, wire=context.wire, limits=context.limits).root
        check_next_root(known, trusted=older, context=context)
    except RefusalError as refusal:
        return refusal
    return None


def _nothing_new(command: Command) -> Answer:
    return ABSENT if isinstance(command, Fetch) else None
