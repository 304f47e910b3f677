"""Publishing Roots: the next one in every profile at once, and the first one of a profile that is added later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from twinlock.director.catalogue.trusted_files import trusted_keys
from twinlock.director.errors.operator import (
    ChainBegunError,
    NewChainError,
    PastEndError,
    ProfileNotPublishedError,
    UnfitRootError,
)
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import list_names
from twinlock.director.model.profiles import InheritedChain, OldChain, RootTranslation
from twinlock.director.signing.published_roots import PublishedRoots, insert_root, read_root
from twinlock.director.signing.root_chains import RootChains
from twinlock.director.signing.roots import (
    check_role,
    check_signing,
    next_root,
    own_key_changes,
    plan_of,
    replace_keys,
    verify_successor,
)
from twinlock.repository.errors import RootPreparedError
from twinlock.repository.keys.keyring import KeyPlan
from twinlock.repository.model.views import RootView
from twinlock.repository.publishing.root_cancelling import CancelledRoot, cancel_prepared, keeping_signatures
from twinlock.repository.publishing.root_ceremony import (
    begin_ceremony,
    carry_previous,
    check_new_file,
    end_published,
    separate_forms,
)
from twinlock.repository.publishing.root_signing import check_repository, read_root_file
from twinlock.repository.signing.sign import renew, root_authority
from twinlock.repository.store.publication_log import following_publication
from twinlock.repository.workspace.validity import STRANDED_FOR
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT


class RootKeeper(RootChains):
    """Publishes the Roots of one Director."""

    def follow(self, now: datetime, roles: tuple[str, ...], plan: KeyPlan | None) -> int:
        """Publish the next Root, with new keys for ``roles``, in every profile; returns its version.

        Raises: UsageError, ProfileError, RootPreparedError, MissingKeysError, PassphraseError, RefusalError, ConflictError.
        """
        published = self._read()
        self._prepared.check(published.version)
        chains = self._chains(published, now)
        for chain in chains:
            chain.check_rotation(roles, plan)
        with self._keyring.new_keys() as new:
            lasting_from = self._lasting_from(now)
            data = next_root(
                published.current,
                self._keyring,
                self.settings.periods,
                now,
                rotate=roles,
                plan=plan,
                new_keys=new,
                lasting_from=lasting_from,
            )
            also = {}
            for chain in chains:
                change = chain.new_root_keys(plan, new) if ROOT in roles else None
                also[chain.name] = chain.follow(data, self._keyring, new, change=change, now=now)
            with new.leaving(RootPreparedError):
                version = self._store(published, data, also, now)
        self._retire_after_publishing(now)
        return version

    def prepare(self, now: datetime, plans: Mapping[str, KeyPlan | None], target: Path) -> RootView:
        """Write the next Root, with new keys by ``plans`` (None: as now), to ``target`` for others to sign.

        The Root keys that are here sign it; ``repository.publishing.root_signing.sign_root`` adds those that are elsewhere.
        Until it is published or cancelled no other Root of its number is.
        Raises: UsageError, ProfileError, RootPreparedError, PassphraseError, StorageError.
        """
        check_new_file(target)
        published = self._read()
        self._prepared.check(published.version)
        chains = self._chains(published, now)
        old, root = published.signed(), published.signed()
        for role, plan in plans.items():
            check_role(role)
            for chain in chains:
                chain.check_rotation((role,), plan)
        with self._keyring.new_keys() as new:
            for role, plan in plans.items():
                replace_keys(root, role, new, plan or plan_of(old, role))
            period, lasting_from = self.settings.periods.root, self._lasting_from(now)
            renew(root, now, period, version=old.version + 1, lasting_from=lasting_from)
            metadata = Metadata(root)
            carry_previous(metadata, Metadata[Root].from_bytes(published.current))
            for chain in chains:
                change = chain.new_root_keys(plans[ROOT], new) if ROOT in plans else None
                chain.attach(metadata, self._keyring, new, change=change)
            with self._prepared.alone():
                self._check_vacant(published)
                detail = {"roles": list(plans), "version": root.version, "file": target.name}
                self._audit("prepare-root", detail, now)
                with new.leaving():
                    return begin_ceremony(self._prepared, target, metadata, old, new=new, keyring=self._keyring)

    def publish(self, now: datetime, path: Path) -> int:
        """Publish a prepared Root that has all its signatures, in every profile; returns its version.

        One that is published already stays as it is.
        Raises: RefusalError if it may not follow the current Root; UsageError if it was prepared for other profiles,
        for the Image repository, or for a time to come; MissingKeysError for online keys that it names and that are not here; ConflictError.
        """
        published = self._read()
        with keeping_signatures(self._prepared, path, published.signed):
            version = self._publish_prepared(published, now, path)
        end_published(self._prepared, lambda: self._read().version, "director")
        self._retire_after_publishing(now)
        return version

    def _retire_after_publishing(self, now: datetime) -> None:
        """As ``retire_revoked``. A fault is logged: whatever opens the Director next repeats it."""
        left = "revoked keys are still among the live ones; `twinlock director status` moves them once that is possible"
        with following_publication(left):
            self.retire_revoked(now)

    def _is_published(self, root: Root) -> bool:
        """Whether this very Root was published before."""
        with self._database.reading() as connection:
            data = read_root(connection, root.version)
        return data is not None and Metadata[Root].from_bytes(data).signed.to_dict() == root.to_dict()

    def _publish_prepared(self, published: PublishedRoots, now: datetime, path: Path) -> int:
        metadata = read_root_file(path)
        check_repository(metadata.signed, path, DIRECTOR)
        if self._is_published(metadata.signed):
            return int(metadata.signed.version)
        self._prepared.check(published.version, metadata.signed)
        data, translated = separate_forms(metadata, path)
        verify_successor(published.current, data, now)
        trusted = bootstrap_repository(DIRECTOR, data).root.signed
        if trusted.issued is not None and trusted.issued > now:
            raise UnfitRootError(
                version=trusted.version,
                reason=f"its time of signature, {trusted.issued:%Y-%m-%d %H:%M}Z, is in the future",
            )
        check_signing(data, self._keyring, now)
        chains = self._chains(published, now)
        if bool(chains) is not (translated is not None):
            raise UnfitRootError(
                version=trusted.version,
                reason="this Root was prepared for a different set of wire profiles; prepare it again",
            )
        also = {chain.name: chain.accept((translated or {}).values(), now) for chain in chains}
        return self._store(published, data, also, now)

    def cancel(self, now: datetime, path: Path) -> CancelledRoot:
        """End the ceremony of a prepared Root; ``path`` is its file with the signatures that were collected.

        Raises: as ``repository.publishing.root_cancelling.cancel_prepared``.
        """

        def record(cancelled: CancelledRoot) -> None:
            self._audit("cancel-root", {"version": cancelled.root, "kept": list(cancelled.kept)}, now)

        with self._prepared.alone():
            current, used = self._read().signed(), self._used(now)
            return cancel_prepared(self._prepared, path, current, self._keyring, now=now, used=used, record=record)

    def hand_over(self, name: str, now: datetime, until: date | None) -> int:
        """Give the Root chain of the profile ``name``, which shares its keys with ours, keys of its own; returns its newest version.

        Fillers leave no number for an old Root of ours, and ``1.root.json`` is the new Root from then on. The old keys sign
        each later Root too until the day ``until`` (default: two years), for stranded vehicles. A chain that has keys of
        its own is left alone.
        Raises: UsageError if the profile is off or the day has passed; MissingKeysError, PassphraseError, ConflictError.
        """
        published, translation = self._read(), self._profiles.translation(name)
        newest = published.translated[name]
        if newest is None:
            raise ProfileNotPublishedError(profile=name)
        chain = translation.chain(published.current, newest, handing_over=True)
        if chain.has_own_keys:
            return translation.version_of(newest)
        if until is not None and until < now.date():
            raise PastEndError(what="the use of the old Root keys", ends=datetime.combine(until, time.max, UTC))
        period, lasting_from = self.settings.periods, self._lasting_from(now)
        self._prepared.check(published.version)
        with self._keyring.new_keys() as new:
            data = next_root(published.current, self._keyring, period, now, lasting_from=lasting_from)
            also = chain.follow(data, self._keyring, new, change=None, now=now)
            own = own_key_changes(None, translation.own_root_role(data, also[-1]))
            # Before: a chain that still shares its keys has no other signers, so a crash in between costs nothing.
            self._keep_stranded(chain.root_keyids, until or now.date() + STRANDED_FOR, now)
            with new.leaving(RootPreparedError), self._publishing(published) as connection:
                detail: dict[str, object] = {"wire": name, "root": insert_root(connection, data, now), "keys": own}
                for root in also:
                    detail["version"] = translation.insert(connection, root, now)
                translation.insert_newcomer(connection, also[-1], now)
                record_audit(connection, actor=self._actor, action="hand-over", detail=detail, now=now)
        return translation.version_of(also[-1])

    def _keep_stranded(self, keyids: tuple[str, ...], until: date, now: datetime) -> None:
        self._audit("keep-stranded", {"keys": list(keyids), "until": until.isoformat()}, now)
        self._change(replace(self.settings, stranded=keyids, stranded_until=until.isoformat()))
        self._save(self.settings)

    def enable(
        self, name: str, now: datetime, continue_from: OldChain | None = None, *, new_chain: bool = False
    ) -> int:
        """Publish Roots in the profile ``name`` too, from version 1 on; returns the newest version in it.

        With ``continue_from``, another Director's Roots and its keys, they continue its chain. A
        profile that is enabled already stays as it is, and then there is nothing to continue from. Without it a new chain
        begins, over registered vehicles of the profile only with ``new_chain``: none that trusts another Root follows it.
        Raises: UsageError for an unknown one; NewChainError; ProfileError for keys that its clients cannot read, before anything is
        signed; MissingKeysError, PassphraseError, ConflictError; RefusalError for the other Director's chain;
        WrongRepositoryError for the chain of an Image repository.
        """
        translation = self._profiles.translation(name)
        inherited = None
        if continue_from is not None:
            inherited = translation.read_inherited(continue_from, now, image_keys=self._image_keys())
        published = self._read()
        newest = published.translated[name]
        if newest is None:
            if inherited is None and not new_chain:
                self._check_without_vehicles(name)
            newest = self._begin(published, translation, inherited, now)
        elif inherited is not None and not self._continued_from(translation, inherited):
            raise ChainBegunError(profile=name)
        # Last: what has been published decides, so a death in between costs nothing.
        if name not in self.settings.wires:
            self._change(replace(self.settings, wires=(*self.settings.wires, name)))
            self._save(self.settings)
        return translation.version_of(newest)

    def _image_keys(self) -> frozenset[bytes]:
        with self._database.reading() as connection:
            return trusted_keys(connection, IMAGE)

    def _begin(
        self, published: PublishedRoots, translation: RootTranslation, inherited: InheritedChain | None, now: datetime
    ) -> bytes:
        """Publish the profile's first Root, or the whole of an old chain with the one that continues it."""
        self._prepared.check(published.version)  # it was prepared without a translation for this profile
        self._check_root_keys_held(published)
        before = () if inherited is None else inherited.roots
        with self._keyring.new_keys() as new:
            if inherited is None:
                chain = translation.chain(published.current, None)
                (data,) = chain.follow(published.current, self._keyring, new, change=None, now=now)
            else:
                data = inherited.next_root(published.current, self._keyring, new, now)
            old = translation.own_root_role(published.current, before[-1] if before else None)
            own = own_key_changes(old, translation.own_root_role(published.current, data))
            detail: dict[str, object] = {"wire": translation.name, "version": translation.version_of(data), "keys": own}
            if before:
                detail["inherited"] = len(before)
            with new.leaving(RootPreparedError), self._publishing(published) as connection:
                for root in (*before, data):
                    translation.insert(connection, root, now)
                record_audit(connection, actor=self._actor, action="wire", detail=detail, now=now)
        return data

    def _check_without_vehicles(self, name: str) -> None:
        """Check that no vehicle may wait for another chain than a new one. Raises: NewChainError."""
        with self._database.reading() as connection:
            registered = list_names(connection, name)
        if registered:
            raise NewChainError(profile=name, count=len(registered), vehicle=registered[0])

    def _check_root_keys_held(self, published: PublishedRoots) -> None:
        """Check that our Root keys are held, though they need not sign: they admit who begins the profile. Raises: MissingKeysError."""
        authority = root_authority(published.signed(), ROOT)
        authority.check_held(ROOT, (record.keyid for record in self._keyring.held(authority.keyids)))

    def _continued_from(self, translation: RootTranslation, inherited: InheritedChain) -> bool:
        """Whether this very chain was continued before: repeating that is allowed."""
        with self._database.reading() as connection:
            return translation.read(connection, len(inherited.roots)) == inherited.roots[-1]
