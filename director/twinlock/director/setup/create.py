"""Making a Director's directory: keys, configuration, inventory, Root 1, and trust in an Image Root.

The configuration is written last: until then there is no Director, and a creation that was cut off is done again. One
that is refused leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from twinlock.director.aktualizr.profile import AktualizrDirectorProfile
from twinlock.director.catalogue.image_site import check_location
from twinlock.director.catalogue.trusted_files import store_files
from twinlock.director.errors.operator import OccupiedError
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.signing_marks import note_signature
from twinlock.director.model.profiles import Profiles, RootTranslation
from twinlock.director.model.settings import Settings
from twinlock.director.setup.config import CONFIG, write_config
from twinlock.director.signing.published_roots import insert_root, read_root
from twinlock.director.signing.roots import ONLINE_ROLES, check_plans_of_roles, first_root, key_changes, own_key_changes
from twinlock.director.signing.tuf_profile import TufDirectorProfile
from twinlock.io.files.durable import clean_stale
from twinlock.io.files.new_directory import new_directory
from twinlock.repository.keys.keyring import KeyPlan, Keyring, Passphrase
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.trust.engine.commands import Persist
from twinlock.trust.engine.first_contact import check_given_root
from twinlock.trust.names import IMAGE, ROOT

_LEFT_BEHIND = ("inventory.sqlite", "keys", ".tmp-")


def check_creation(path: Path, plans: Mapping[str, KeyPlan], settings: Settings) -> list[RootTranslation]:
    """Check what is wanted of a new Director, before anything is asked or made; returns the translations of its Roots.

    Raises: UsageError if there is a Director already, and for plans that are not possible.
    """
    if (path / CONFIG).exists():
        raise OccupiedError(path=str(path), what=f"a {CONFIG}")
    check_plans_of_roles(plans)
    _check_vacant(path)
    translations = [each for each in open_profiles().translations if each.name in settings.wires]
    for translation in translations:
        translation.check_plans(plans)
    return translations


def create_director(
    path: Path,
    *,
    image_root: bytes,
    image_url: str,
    passphrase: Passphrase,
    plans: Mapping[str, KeyPlan],
    settings: Settings,
    now: datetime,
    actor: str,
) -> None:
    """Make a Director at ``path``. Raises: UsageError if there is one, RefusalError for a bad Image Root, StorageError."""
    translations = check_creation(path, plans, settings)
    anchor = check_given_root(IMAGE, image_root)
    settings = replace(settings, image_url=check_location(image_url))
    stored: list[bytes] = []
    clean_stale(path)
    with new_directory(path, begun=lambda: bool(stored), mode=0o700):
        with Inventory.connect(settings.database, directory=path) as database:
            database.create()
            database.check_version()
            with database.reading() as connection:
                root = read_root(connection)  # of a creation that was cut off after it published
            keyring, published = open_keyring(path, settings, passphrase), root is not None
            with keyring.new_keys() as new:
                translated: list[tuple[RootTranslation, bytes]] = []
                if root is None:
                    root = first_root(keyring, new, plans, settings.periods, now)
                    translated = list(_translate(root, translations, keyring, new, now))
                stored.append(root)  # from here on a vehicle may have read it
                with new.leaving(), database.writing("create") as connection:
                    if not published:
                        _publish(connection, root, translated, actor, now)
                    store_files(connection, Persist(IMAGE, ((ROOT, 0, None),)))
                    store_files(connection, Persist(IMAGE, ((ROOT, anchor.root.signed.version, image_root),)))
                    record_audit(connection, actor=actor, action="init", now=now)
        write_config(path, settings)


def _publish(
    connection: Connection, root: bytes, translated: Iterable[tuple[RootTranslation, bytes]], actor: str, now: datetime
) -> None:
    """Store the first Root in every profile, and who made it with which keys."""
    keys = key_changes(None, root)
    detail: dict[str, object] = {"roles": list(keys), "version": insert_root(connection, root, now)}
    note_signature(connection, now)
    for translation, data in translated:
        detail[translation.name] = translation.insert(connection, data, now)
        keys |= own_key_changes(None, translation.own_root_role(root, data))
    record_audit(connection, actor=actor, action="root", detail={**detail, "keys": keys}, now=now)


def _translate(
    root: bytes, translations: Iterable[RootTranslation], keyring: Keyring, new: NewKeys, now: datetime
) -> Iterator[tuple[RootTranslation, bytes]]:
    """Root 1 in every other profile, each with the translation that it comes from."""
    for translation in translations:
        for data in translation.chain(root, None).follow(root, keyring, new, change=None, now=now):
            yield translation, data


def _check_vacant(path: Path) -> None:
    """Only what a creation that was cut off leaves may be there already. Raises: UsageError."""
    present = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    foreign = [name for name in present if not name.startswith(_LEFT_BEHIND)]
    if foreign:
        raise OccupiedError(path=str(path), what=f"{foreign[0]}, which is not a Director's,")


def open_profiles() -> Profiles:
    """The wire profiles that a Director serves vehicles in. This is the one place that names them all."""
    return Profiles(TufDirectorProfile(), AktualizrDirectorProfile())


def open_keyring(path: Path, settings: Settings, passphrase: Passphrase) -> Keyring:
    """The keys of the Director at ``path``."""
    return Keyring(
        offline=path / settings.offline_keys,
        online=path / settings.online_keys,
        online_roles=ONLINE_ROLES,
        passphrase=passphrase,
    )
