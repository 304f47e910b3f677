"""The Image repository as one object: what the command, the demo and tests hold in their hands.

    from twinlock.repository.entries import Component
    from twinlock.repository.image import ImageRepository

    repository = ImageRepository.create("image-repo")              # keys, first Root, Targets, Snapshot, Timestamp
    repository.add_image(
        "build/brake.bin", "brake/brake-2.0.bin",
        hardware_ids=["hw-7"], release_counter=3,
        component=Component(name="brake", version="2.0", dependencies={"gateway": ">=1.4"}),
    )                                                              # staged; the bytes are already in the store
    repository.publish()                                           # signed, verified by the trust engine, published
    anchor = repository.root_bytes()                               # what a vehicle is built with
    app = image_application(repository.store)                      # twinlock.repository.serve

    repository = ImageRepository.open("image-repo")                # later; finishes a publication that a crash cut off
    repository.delegate("acme", keys=["acme.pub.json"], paths=["acme/*"], hardware_ids=["hw-9"])
    repository.accept("from-acme/outbox")                          # acme's signed file and images, fully checked
    repository.publish()
    repository.rotate("timestamp")
    repository.refresh()

Belongs here: the list of what one can do. Does not belong here: how it is done (the modules beside this one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from twinlock.repository.entries import Component
from twinlock.repository.keyring import KeyPlan, Keyring, Passphrase
from twinlock.repository.periods import Clock, Periods, utc_now
from twinlock.repository.views import ImageView, Publication, RepositoryView

if TYPE_CHECKING:
    from twinlock.repository.object_store import ObjectStore


class ImageRepository:
    """An Image repository in a directory, with the keys that are held there.

    Methods that change something stage it; ``publish`` makes it so. ``rotate`` and ``refresh`` publish by themselves.
    Every method may raise StorageError; those that sign PassphraseError, and UsageError when too few keys are held.
    """

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        passphrase: Passphrase = None,
        keys: Mapping[str, KeyPlan] | None = None,
        periods: Periods | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """Make a repository: keys for each role by plan (one ed25519 key where none is given), and publication 1.

        A creation that was cut off is finished. Raises: UsageError if there is a repository already.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, path: str | Path, *, passphrase: Passphrase = None, clock: Clock = utc_now) -> Self:
        """Open a repository, finishing a publication that was cut off.

        Raises: UsageError if there is none, NewerStateError.
        """
        raise NotImplementedError

    path: Path
    store: ObjectStore
    keyring: Keyring

    def root_bytes(self, version: int | None = None) -> bytes:
        """A published Root file: the newest, or that ``version``. What a vehicle is built with."""
        raise NotImplementedError

    def add_image(
        self,
        source: str | Path,
        path: str,
        *,
        hardware_ids: Iterable[str],
        release_counter: int,
        component: Component | None = None,
        replace: bool = False,
    ) -> ImageView:
        """Hash and store the file ``source`` and stage an entry that lists it as ``path``.

        Raises: UsageError (duplicate without ``replace``, a lower release counter, a version that is not PEP 440, a
        bad specifier, no hardware id), UnsafePathError for names.
        """
        raise NotImplementedError

    def remove_image(self, path: str) -> None:
        """Stage the removal of an entry. The bytes stay for vehicles that still follow the old Targets."""
        raise NotImplementedError

    def delegate(
        self,
        name: str,
        *,
        keys: Iterable[str | Path],
        paths: Iterable[str],
        threshold: int = 1,
        hardware_ids: Iterable[str] | None = None,
        terminating: bool = False,
        before: str | None = None,
    ) -> None:
        """Stage a delegation to the role ``name``, signed with the public ``keys`` (files that a supplier gave).

        ``before`` puts it ahead of another delegation in priority; else it is the last. It is published together with
        the first file of that role (see ``accept``).
        """
        raise NotImplementedError

    def undelegate(self, name: str) -> None:
        """Stage the end of a delegation. Snapshot lists the name until Snapshot and Timestamp keys are rotated."""
        raise NotImplementedError

    def accept(self, outbox: str | Path) -> tuple[str, ...]:
        """Check what a supplier signed, store its images, and stage it; returns the names of the roles.

        Raises: RefusalError of every kind, as a vehicle would.
        """
        raise NotImplementedError

    def publish(self) -> Publication:
        """Sign what is staged and publish it as one step, after the trust engine accepted it as a vehicle would.

        Raises: ConflictError if somebody else published meanwhile (nothing is mixed, what was staged stays staged),
        RefusalError if the trust engine refuses, UsageError if keys are missing.
        """
        raise NotImplementedError

    def refresh(self, within: timedelta | None = None) -> Publication:
        """Sign again what expires within that time (default: half of its validity), as far as keys are held here."""
        raise NotImplementedError

    def rotate(self, *roles: str, plan: KeyPlan | None = None) -> Publication:
        """Give each role new keys by ``plan`` (default: as many, and the threshold, it has now), and publish that."""
        raise NotImplementedError

    def show(self) -> RepositoryView:
        """What is published now."""
        raise NotImplementedError
