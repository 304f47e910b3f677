"""Root with keys in different places: prepare the next Root here, have it signed elsewhere, publish it when it is whole.

    1. prepare   where the repository is: the next Root with the wanted changes, signed by the keys that are here
    2. sign      wherever other root keys are, as often as needed; the file travels, keys do not
    3. publish   where the repository and the online keys are

Where the repository publishes for aktualizr too, the file carries both forms and every signer signs both.

A signer never signs bytes that it cannot read as Root: both python-tuf and the trust engine have to read them.

Belongs here: those three steps. Does not belong here: rotation with all keys in one place (``rotation``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from twinlock.repository.aktualizr.ceremony import attach, attached_signers, detach, sign_attached
from twinlock.repository.aktualizr.second import begin_with_root
from twinlock.repository.atomic import read_file, replace_file
from twinlock.repository.authoring.clock_record import signing_marks
from twinlock.repository.candidate import Candidate, root_authority
from twinlock.repository.keyring import KeyPlan, Keyring
from twinlock.repository.public_keys import Json, authoring_keys
from twinlock.repository.publishing import commit
from twinlock.repository.rotation import forget_unreachable, renew_changed, replace_top_level
from twinlock.repository.signing import Authority, renew
from twinlock.repository.views import Publication, RootView
from twinlock.repository.workspace import Workspace
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TIMESTAMP, TOP_LEVEL
from twinlock.trust.policy import LAX
from twinlock.trust.wire.tuf import TUF


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChanges:
    """What the next Root shall say differently. Keys to add are public, by id, as TUF 1.0.34 4.2 writes them."""

    rotate: Mapping[str, KeyPlan] = field(default_factory=dict)
    add: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    remove: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)


def prepare_root(workspace: Workspace, changes: RootChanges, target: Path, *, for_aktualizr: bool = False) -> RootView:
    """Write the next Root to ``target``, signed by those root keys that are held here, and say what it lacks.

    ``for_aktualizr``: publishing it shall begin to publish for aktualizr, whose first Root it is.

    Raises: UsageError for changes that make no sense, ProfileError for keys that clients could not read.
    """
    published = workspace.published()
    wires = workspace.wires
    if for_aktualizr and not wires.aktualizr:
        wires = wires.with_aktualizr(root_offset=published.root.signed.version)
    wires.check_plans(changes.rotate)
    candidate = Candidate(published, workspace.keyring, workspace.periods, workspace.now())
    for role, plan in changes.rotate.items():
        _known(role)
        records = workspace.keyring.generate(role, kind=plan.kind, count=plan.count)
        replace_top_level(candidate, role, records, plan.threshold)
    root = candidate.edit_root()
    _change_keys(root, changes)
    now = workspace.now()
    lasting_from = signing_marks(workspace, published, now).lasting_from(now)
    version = published.root.signed.version + 1
    renew(root, now, workspace.periods.root, version=version, lasting_from=lasting_from)
    metadata = Metadata(root)
    if wires.aktualizr:
        attach(metadata, version=root.version - wires.root_offset)
    return _sign_into(target, metadata, published.root.signed, workspace.keyring)


def sign_root(path: Path, keyring: Keyring, *, previous: bytes | None = None) -> RootView:
    """Add the signatures of every root key held in ``keyring`` to the Root file at ``path``.

    ``previous`` is the Root it follows, if that is at hand; without it only the file's own keys can be looked for.
    Raises: UsageError if the file is no Root or no key of it is here; ProfileError if it has two forms that do not say
    the same; PassphraseError.
    """
    metadata = _read_root(path)
    before = Metadata[Root].from_bytes(previous).signed if previous else metadata.signed
    return _sign_into(path, metadata, before, keyring)


def publish_root(workspace: Workspace, path: Path) -> Publication:
    """Publish a Root that has all its signatures, and whatever has to be signed again because of it.

    One that was prepared as the first Root for aktualizr begins the publishing for aktualizr.

    Raises: RefusalError if it may not follow the current Root; MissingKeysError for keys of roles that it changes.
    """
    published = workspace.published()
    metadata = _read_root(path)
    other = detach(metadata)
    data = metadata.to_bytes() if other is not None else _read(path)
    context = Context(repository=IMAGE, now=workspace.now(), limits=DEFAULT_LIMITS, wire=TUF, policy=LAX)
    check_next_root(data, trusted=published.trusted.root, context=context)
    new = metadata.signed
    candidate = Candidate(published, workspace.keyring, workspace.periods, workspace.now())
    candidate.put_root(data)
    second = None
    if other is not None:
        candidate.accept_other(ROOT, other)
        second = begin_with_root(workspace, candidate, new.version)
    old = published.root.signed
    renew_changed(candidate, old, new)
    if all(not set(old.roles[role].keyids) & set(new.roles[role].keyids) for role in (SNAPSHOT, TIMESTAMP)):
        forget_unreachable(candidate)
    return commit(workspace, candidate, second=second)


def _change_keys(root: Root, changes: RootChanges) -> None:
    for role, keys in changes.add.items():
        _known(role)
        for key in authoring_keys({keyid: dict(key) for keyid, key in keys.items()}).values():
            root.add_key(key, role)
    for role, keyids in changes.remove.items():
        _known(role)
        for keyid in keyids:
            if keyid not in root.roles[role].keyids:
                raise UsageError(reason=f"{keyid} is no key of {role}")
            root.revoke_key(keyid, role)
    for role, threshold in changes.thresholds.items():
        _known(role)
        root.roles[role].threshold = threshold
    for role in TOP_LEVEL:
        count = len(root.roles[role].keyids)
        if not 1 <= root.roles[role].threshold <= count:
            raise UsageError(reason=f"{role} would need {root.roles[role].threshold} of {count} keys")


def _known(role: str) -> None:
    if role not in TOP_LEVEL:
        raise UsageError(reason=f"{role} is no top-level role")


def _sign_into(path: Path, metadata: Metadata[Root], before: Root, keyring: Keyring) -> RootView:
    authorities = (root_authority(metadata.signed, ROOT), root_authority(before, ROOT))
    signers = keyring.signers(dict.fromkeys(keyid for authority in authorities for keyid in authority.keyids))
    sign_attached(metadata, signers)
    for signer in signers:
        if signer.public_key.keyid not in metadata.signatures:
            metadata.sign(signer, append=True)
    replace_file(path, metadata.to_bytes())
    return _root_view(metadata, authorities)


def _root_view(metadata: Metadata[Root], authorities: tuple[Authority, ...]) -> RootView:
    signed = set(metadata.signatures) & attached_signers(metadata)
    missing = max(authority.threshold - len(set(authority.keyids) & signed) for authority in authorities)
    root = metadata.signed
    return RootView(
        version=root.version,
        expires=root.expires,
        keys={role: tuple(root.roles[role].keyids) for role in TOP_LEVEL},
        thresholds={role: root.roles[role].threshold for role in TOP_LEVEL},
        signed=tuple(keyid for keyid in metadata.signatures if keyid in signed),
        missing=max(0, missing),
    )


def _read_root(path: Path) -> Metadata[Root]:
    data = _read(path)
    TUF.decode_root(data, str(path), DEFAULT_LIMITS)
    return Metadata[Root].from_bytes(data)


def _read(path: Path) -> bytes:
    data = read_file(path, max_bytes=2 * DEFAULT_LIMITS.root_bytes)
    if data is None:
        raise UsageError(reason=f"there is no file {path}")
    return data
