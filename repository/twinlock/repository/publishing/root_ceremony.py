"""Root with keys in different places: prepare the next Root here, have it signed elsewhere, publish it when it is whole.

    1. prepare   where the repository is: the next Root with the wanted changes, signed by the keys that are here
    2. sign      (``root_signing.py``) wherever other Root keys are, as often as needed; the file travels, keys do not
    3. publish   where the repository and the online keys are

Where the repository publishes for aktualizr too, the file carries both forms and every signer signs both. It also carries
the Root that it follows, so that old keys sign where only the file is, and "complete" counts both thresholds.

A signer never signs bytes that it cannot read as Root: both python-tuf and the trust engine have to read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

from tuf.api.metadata import Metadata, Root

from twinlock.io.files.durable import replace_file
from twinlock.io.files.operator_files import check_directory_of
from twinlock.repository.aktualizr.ceremony import (
    attach,
    detach,
    is_hand_over,
)
from twinlock.repository.aktualizr.root_chain import RootChain, authority_of, new_own_keys
from twinlock.repository.aktualizr.writer import AktualizrWriter, begin_with_root, open_writer
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.keys.demands import check_demands, set_demand
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.keys.new_keys import NewKeys, make_keys
from twinlock.repository.keys.public_keys import Json, authoring_keys
from twinlock.repository.model.views import PublishResult, RootView
from twinlock.repository.publishing.aktualizr_profile import handing_over, last_day
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.publishing.publish import begin_publishing, commit, retire_after_publishing
from twinlock.repository.publishing.revoked_keys import online_keys
from twinlock.repository.publishing.root_signing import (
    PREVIOUS,
    check_repository,
    read_root_file,
    read_whole,
    sign_into,
)
from twinlock.repository.publishing.rotation import forget_unreachable, renew_changed, replace_top_level
from twinlock.repository.signing.clock_record import signing_marks
from twinlock.repository.signing.named_keys import OWN_ROOT
from twinlock.repository.signing.sign import SigningAuthority, renew, root_authority
from twinlock.repository.store.object_names import root_object
from twinlock.repository.store.publication_log import following_publication
from twinlock.repository.workspace.prepared_root import MAX_PREPARED_BYTES, PreparedRoot
from twinlock.repository.workspace.state import RepositoryState
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TIMESTAMP, TOP_LEVEL
from twinlock.trust.policy import LAX
from twinlock.trust.wire.tuf.metadata import TUF

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChanges:
    """How the next Root differs. Keys to add are public, by id, as TUF 1.0.34 4.2 writes them.

    ``demands`` state of which roles a post-quantum signature is demanded from then on, and of which not.
    In addition to the top-level roles there is ``aktualizr-root``: the Root keys of the aktualizr chain, where it has its own.
    """

    rotate: Mapping[str, KeyPlan] = field(default_factory=dict)
    add: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    remove: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)
    demands: Mapping[str, bool] = field(default_factory=dict)

    @property
    def roles(self) -> frozenset[str]:
        """The roles of which anything changes."""
        return frozenset(self.rotate).union(self.add, self.remove, self.thresholds, self.demands)


def prepare_root(
    workspace: Workspace,
    changes: RootChanges,
    target: Path,
    *,
    for_aktualizr: bool = False,
) -> RootView:
    """Write the next Root to ``target``, signed by those Root keys that are held here, and show what it lacks.

    ``for_aktualizr``: publishing it shall begin to publish for aktualizr, whose first Root it is. Where that chain is
    published already and shares its Root keys with ours, it is handed over to keys of its own, and nothing
    else may change.

    Until it is published or cancelled no other Root of its number is.
    Raises: UsageError for changes that make no sense, ProfileError for keys that clients could not read; RootPreparedError.
    """
    state, prepared = begin_publishing(workspace), PreparedRoot(workspace.path)
    published = state.published
    prepared.check(published.root.signed.version)
    writer = _aktualizr_writer(state, for_aktualizr=for_aktualizr)
    if writer is not None and writer.handing_over:
        if changes.roles - {OWN_ROOT}:
            raise UsageError(
                reason="a Root that hands over the aktualizr chain cannot change other keys; use a separate Root for those"
            )
    elif writer is not None:
        writer.check_new_keys({**dict.fromkeys(changes.roles, KeyPlan()), **changes.rotate})
    candidate = NextPublication(state)
    check_new_file(target)
    with workspace.keyring.new_keys() as new:
        for role, plan in _without_own(changes.rotate).items():
            _known(role)
            replaced = root_authority(published.root.signed, role)
            wanted = plan.for_role(role, demanded=replaced.post_quantum)
            replace_top_level(candidate, role, make_keys(new, role, wanted.new_kinds(replaced.keys)), wanted)
        root = candidate.edit_root()
        _change_keys(root, changes)
        now = state.now
        lasting_from = signing_marks(workspace, published, now).lasting_from(now)
        version = published.root.signed.version + 1
        renew(root, now, workspace.periods.root, version=version, lasting_from=lasting_from)
        metadata = Metadata(root)
        carry_previous(metadata, published.root)
        if writer is not None:
            change = _change_own_keys(writer.chain, changes, new, root)
            attach(metadata, writer.chain.links(root, workspace.keyring, new, change=change))
        before = published.root.signed
        with prepared.alone():
            if state.latest().published.root.signed.version != before.version:
                raise ConflictError(what="the repository", reason="another process published a Root")
            prepared.check(before.version)
            with new.leaving():
                return begin_ceremony(prepared, target, metadata, before, new=new, keyring=workspace.keyring)


def begin_ceremony(
    prepared: PreparedRoot, target: Path, metadata: Metadata[Root], before: Root, *, new: NewKeys, keyring: Keyring
) -> RootView:
    """Sign the next Root with the keys that are here, record that it is prepared, and write it to ``target``.

    The caller holds ``prepared.alone()``, and has checked that no other Root is prepared or published.
    """
    prepared.begin(metadata.signed, new.keyids)
    view = sign_into(prepared.path, metadata, before, keyring)
    replace_file(target, metadata.to_bytes(), max_bytes=MAX_PREPARED_BYTES)
    return view


def publish_root(workspace: Workspace, path: Path, *, until: date | None = None) -> PublishResult:
    """Publish a Root that has all its signatures, and whatever has to be signed again because of it.

    One that was prepared as the first Root for aktualizr begins the publishing for aktualizr; one that was prepared as a
    hand-over of that chain is one (``until``: see ``aktualizr_profile``).

    One that is published already stays as it is.
    Raises: RefusalError if it may not follow the current Root; OtherRepositoryError for a Director's; MissingKeysError for
    keys of roles that it changes.
    """
    state = begin_publishing(workspace)
    published, profiles = state.published, open_profiles(state)
    verified = online_keys(NextPublication(state), profiles)
    metadata = read_root_file(path)
    check_repository(metadata.signed, path, IMAGE)
    if _is_published(state, metadata.signed):
        end_published(PreparedRoot(workspace.path), lambda: published.root.signed.version, "image")
        return PublishResult(version=published.version, files=(), changed=False)
    hands_over = is_hand_over(metadata)
    data, other = separate_forms(metadata, path)
    context = Context(repository=IMAGE, now=state.now, limits=DEFAULT_LIMITS, wire=TUF, policy=LAX)
    check_next_root(data, trusted=published.trusted.root, context=context)
    new = metadata.signed
    candidate = NextPublication(state)
    candidate.put_root(data)
    writer = None
    if other is not None:
        for name, file in other.items():
            candidate.accept_other(name, file)
        writer = begin_with_root(candidate, new.version)
        running = open_writer(state) if hands_over else None
        if running is not None and not running.chain.has_own_keys:
            writer = handing_over(running, last_day(state, until))
    old = published.root.signed
    renew_changed(candidate, old, new)
    if all(not set(old.roles[role].keyids) & set(new.roles[role].keyids) for role in (SNAPSHOT, TIMESTAMP)):
        forget_unreachable(candidate)
    publication = commit(candidate, profiles=open_profiles(state, chosen=writer) if writer else profiles)
    end_published(PreparedRoot(workspace.path), lambda: new.version, "image")
    retire_after_publishing(workspace, verified=verified)
    return publication


def end_published(prepared: PreparedRoot, read_newest: Callable[[], int], party: str) -> None:
    """Forget the prepared Root, which is published now by ``party`` ("image" or "director"). A fault is logged."""
    left = f"the file of the prepared Root is still kept; `twinlock {party} root publish` deletes it if it is repeated"
    with following_publication(left):
        prepared.end_published(read_newest())


def _is_published(state: RepositoryState, root: Root) -> bool:
    """Whether this very Root was published before."""
    newest = state.published.root.signed
    if root.version >= newest.version:
        return bool(root.to_dict() == newest.to_dict())
    stored = state.workspace.store.get(root_object(root.version), max_bytes=DEFAULT_LIMITS.root_bytes)
    return stored is not None and Metadata[Root].from_bytes(stored.data).signed.to_dict() == root.to_dict()


def _aktualizr_writer(state: RepositoryState, *, for_aktualizr: bool) -> AktualizrWriter | None:
    """The aktualizr form of the next Root; None where there is none."""
    writer = open_writer(state)
    if writer is not None:
        hands_over = for_aktualizr and not writer.chain.has_own_keys
        return handing_over(writer, last_day(state, None)) if hands_over else writer
    if not for_aktualizr:
        return None
    wires = state.wires.with_aktualizr(root_offset=state.published.root.signed.version)
    return AktualizrWriter(state, wires, None, initial=True)


def _change_keys(root: Root, changes: RootChanges) -> None:
    for role in changes.roles:
        _known(role)
    for role, keys in _without_own(changes.add).items():
        for key in authoring_keys({keyid: dict(key) for keyid, key in keys.items()}).values():
            root.add_key(key, role)
    for role, keyids in _without_own(changes.remove).items():
        for keyid in keyids:
            if keyid not in root.roles[role].keyids:
                raise UsageError(reason=f"{keyid} is not a key of {role}")
            root.revoke_key(keyid, role)
    for role, threshold in _without_own(changes.thresholds).items():
        root.roles[role].threshold = threshold
    for role in TOP_LEVEL:
        count = len(root.roles[role].keyids)
        if not 1 <= root.roles[role].threshold <= count:
            raise UsageError(reason=f"{role} would need {root.roles[role].threshold} of {count} keys")
    _change_demands(root, changes.demands)


def _change_demands(root: Root, demands: Mapping[str, bool]) -> None:
    for role, demanded in demands.items():
        if role == OWN_ROOT:
            raise UsageError(reason="aktualizr does not support post-quantum signatures")
        set_demand(root, role, demanded=demanded)
    check_demands(root)


def _without_own(changes: Mapping[str, T]) -> dict[str, T]:
    """Changes of the roles that our Root names."""
    return {role: change for role, change in changes.items() if role != OWN_ROOT}


def _change_own_keys(
    chain: RootChain, changes: RootChanges, keyring: Keyring | NewKeys, root: Root
) -> SigningAuthority | None:
    """The next Root keys of the aktualizr chain, where ``changes`` affect them. Raises: UsageError.

    Rotating Root rotates them too, unless they are named by themselves.
    """
    named = OWN_ROOT in changes.roles
    all_go = ROOT in changes.rotate and not changes.rotate[ROOT].replacing
    if not named and (not all_go or chain.newest is None):
        return None
    if not chain.has_own_keys and not chain.handing_over:
        if named:
            raise UsageError(reason="the aktualizr chain has no Root keys of its own yet; hand it over first")
        return None
    plan = changes.rotate.get(OWN_ROOT) or (None if named else changes.rotate[ROOT])
    if plan is not None:
        before = new_own_keys(keyring, plan)
    elif chain.newest is not None and chain.has_own_keys:
        before = authority_of(chain.newest)
    else:
        before = SigningAuthority({}, root.roles[ROOT].threshold)
    removed = frozenset(changes.remove.get(OWN_ROOT, ()))
    if removed - before.keys.keys():
        raise UsageError(reason=f"{sorted(removed - before.keys.keys())[0]} is not a key of {OWN_ROOT}")
    added = authoring_keys({keyid: dict(key) for keyid, key in changes.add.get(OWN_ROOT, {}).items()})
    keys = {keyid: key for keyid, key in {**before.keys, **added}.items() if keyid not in removed}
    threshold = changes.thresholds.get(OWN_ROOT, before.threshold)
    if not 1 <= threshold <= len(keys):
        raise UsageError(reason=f"{OWN_ROOT} would need {threshold} of {len(keys)} keys")
    return SigningAuthority(keys, threshold)


def _known(role: str) -> None:
    if role not in (*TOP_LEVEL, OWN_ROOT):
        raise UsageError(reason=f"{role} is not a top-level role")


def carry_previous(metadata: Metadata[Root], before: Metadata[Root]) -> None:
    """Let a prepared Root carry the one that it follows, for signers who have nothing else."""
    metadata.unrecognized_fields[PREVIOUS] = before.to_dict()


def separate_forms(metadata: Metadata[Root], path: Path) -> tuple[bytes, dict[str, bytes] | None]:
    """What to publish of a prepared Root: its file, and those of its other form by name. Raises: as ``detach``."""
    other = detach(metadata)
    carried = metadata.unrecognized_fields.pop(PREVIOUS, None)
    return (read_whole(path) if other is None and carried is None else metadata.to_bytes()), other


def check_new_file(target: Path) -> None:
    """A Root is prepared in a file of its own: another one at its place may hold signatures. Raises: UsageError."""
    check_directory_of(target, "the Root")
    if target.exists() or target.is_symlink():
        reason = f"{target} exists already, and signatures in it would be lost; choose another name, or remove it"
        raise UsageError(reason=reason)
