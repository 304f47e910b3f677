"""Making a Director's directory: keys, configuration, inventory, Root 1, and trust in an Image Root.

The configuration is written last: until then there is no Director, and a creation that was cut off is done again.
Belongs here: the first time. Does not belong here: everything after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from twinlock.director.config import CONFIG, Settings, write_config
from twinlock.director.database import Database
from twinlock.director.history import record_audit
from twinlock.director.records import AKTUALIZR_WIRE
from twinlock.director.roots import ONLINE_ROLES, first_root, insert_root, read_root
from twinlock.director.signing.marks import note_signature
from twinlock.director.source import open_source
from twinlock.director.trusted_files import store_files
from twinlock.director.wire_roots import check_plans, first_wire_root, insert_wire_root
from twinlock.repository.atomic import make_directory, storage
from twinlock.repository.keyring import KeyPlan, Keyring, Passphrase
from twinlock.trust.commands import Persist
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import IMAGE, ROOT
from twinlock.trust.restore import bootstrap_repository


def create_director(
    path: Path,
    *,
    image_root: bytes,
    image_url: str,
    passphrase: Passphrase,
    plans: Mapping[str, KeyPlan],
    settings: Settings,
    now: datetime,
) -> None:
    """Make a Director at ``path``. Raises: UsageError if there is one, RefusalError for a bad Image Root, StorageError."""
    if (path / CONFIG).exists():
        raise UsageError(reason=f"there is a Director in {path} already")
    anchor = bootstrap_repository(IMAGE, image_root)
    open_source(image_url)
    located = image_url if "://" in image_url else str(Path(image_url).resolve())
    settings = replace(settings, image_url=located)
    also = AKTUALIZR_WIRE in settings.wires
    if also:
        check_plans(plans)
    with storage("create", path):
        make_directory(path, 0o700)
    database = Database.connect(settings.database, directory=path)
    try:
        database.create()
        database.check_version()
        keyring = open_keyring(path, settings, passphrase)
        root = first_root(keyring, plans, settings.periods, now)
        translated = first_wire_root(root, keyring) if also else None
        with database.writing("create") as connection:
            if read_root(connection) is None:
                insert_root(connection, root, now)
                note_signature(connection, now)
                if translated is not None:
                    insert_wire_root(connection, translated, now)
            store_files(connection, Persist(IMAGE, ((ROOT, 0, None),)))
            store_files(connection, Persist(IMAGE, ((ROOT, anchor.root.signed.version, image_root),)))
            record_audit(connection, actor="operator", action="init", now=now)
    finally:
        database.close()
    write_config(path, settings)


def open_keyring(path: Path, settings: Settings, passphrase: Passphrase) -> Keyring:
    """The keys of the Director at ``path``."""
    return Keyring(
        offline=path / settings.offline_keys,
        online=path / settings.online_keys,
        online_roles=ONLINE_ROLES,
        passphrase=passphrase,
    )
