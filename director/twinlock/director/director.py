"""The Director as one object: what the command, the server, the demo and tests hold in their hands.

    from twinlock.director.director import Director

    director = Director.create("director", image_root=anchor, image_url="http://127.0.0.1:8080")   # or a directory
    director.register(description)                       # JSON bytes or a mapping: twinlock primary describe
    director.receive_manifest(manifest_bytes)            # Acceptance, or a RefusalError; stored either way
    director.assign("VIN1", {"ecu-brake": "brake/brake-2.0.bin"})    # Plan; raises NoImageSetError with the causes
    director.metadata("VIN1", "timestamp.json")          # bytes or None; signed on demand
    director.metadata("VIN1", "1.root.json")

Belongs here: the list of what one can do. Does not belong here: how it is done (the modules beside this one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from twinlock.director.records import (
    Acceptance,
    DecisionRecord,
    Issue,
    ManifestRecord,
    Plan,
    VehicleRecord,
    VehicleSummary,
)
from twinlock.repository.keyring import KeyPlan, Passphrase
from twinlock.repository.periods import Clock, utc_now

if TYPE_CHECKING:
    from twinlock.director.config import Settings


class Director:
    """A Director in a directory, with the keys that are held there.

    ``now`` is always UTC and defaults to ``clock()``. Every method may raise StorageError; those that name a vehicle
    UnknownVehicleError; those that sign PassphraseError.
    """

    path: Path

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        image_root: bytes,
        image_url: str,
        passphrase: Passphrase = None,
        keys: Mapping[str, KeyPlan] | None = None,
        settings: Settings | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """Make a Director: keys for each role, Root 1, an empty inventory, trust in the Image Root given.

        ``image_url`` is the Image repository's base URL or directory (the one that holds ``metadata/``).
        Raises: UsageError if there is a Director already, RefusalError for a bad Image Root.
        """
        raise NotImplementedError

    @classmethod
    def open(cls, path: str | Path, *, passphrase: Passphrase = None, clock: Clock = utc_now) -> Self:
        """Open a Director. Raises: UsageError if there is none, NewerStateError."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the database and of opened keys."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def root_bytes(self, version: int | None = None) -> bytes:
        """A Root file of this Director: the newest, or that ``version``. What a vehicle is built with."""
        raise NotImplementedError

    def register(self, description: bytes | Mapping[str, Any], *, now: datetime | None = None) -> bool:
        """Take a vehicle into the inventory; True if it is new, False if it is registered just so already.

        Raises: MalformedError, WeakKeyError, UnsafePathError, RegistrationError.
        """
        raise NotImplementedError

    def enrolment_token(self, vehicle: str, *, valid_s: int = 86_400, now: datetime | None = None) -> str:
        """A token with which ``vehicle`` may register itself once over HTTP. It is shown only here."""
        raise NotImplementedError

    def enrol(self, vehicle: str, token: str, description: bytes, *, now: datetime | None = None) -> bool:
        """Register with a token, as ``register``. Raises: EnrolmentTokenError, and what ``register`` does."""
        raise NotImplementedError

    def vehicles(self) -> tuple[VehicleSummary, ...]:
        """All registered vehicles, by id."""
        raise NotImplementedError

    def vehicle(self, vehicle: str) -> VehicleRecord:
        """One vehicle with its ECUs and what they last reported."""
        raise NotImplementedError

    def assign(
        self,
        vehicle: str,
        images: Mapping[str, str],
        *,
        actor: str = "operator",
        now: datetime | None = None,
    ) -> Plan:
        """Demand that each ECU run the image of that target path; others move only if a dependency needs it.

        Nothing is stored unless the whole set fits. Raises: UnknownEcuError, UnknownImageError, NoImageSetError,
        HardwareError, ReleaseCounterError, RefusalError and TransportError of the Image repository.
        """
        raise NotImplementedError

    def unassign(
        self,
        vehicle: str,
        ecus: Iterable[str] | None = None,
        *,
        actor: str = "operator",
        now: datetime | None = None,
    ) -> Plan:
        """Withdraw the assignments of ``ecus`` (None: all). Raises: UsageError if there are none."""
        raise NotImplementedError

    def explain(
        self, vehicle: str, images: Mapping[str, str] | None = None, *, now: datetime | None = None
    ) -> Plan:
        """What the vehicle would be told now, and why; with ``images``, as if they were assigned. Changes nothing."""
        raise NotImplementedError

    def receive_manifest(self, data: bytes, *, vehicle: str | None = None, now: datetime | None = None) -> Acceptance:
        """Judge a vehicle version manifest and take over what it reports; ``vehicle`` is whose URL it came to.

        A refused manifest is stored with its verdict and changes nothing else. Raises: RefusalError of every kind.
        Source: Uptane 2.1.0 5.3.2.1 steps 1 to 4.
        """
        raise NotImplementedError

    def metadata(self, vehicle: str, name: str, *, now: datetime | None = None) -> bytes | None:
        """A metadata file of one vehicle by its file name; None if there is none of that name.

        Asking for an unversioned name plans and signs afresh when something changed or is about to expire.
        """
        raise NotImplementedError

    def issue(self, vehicle: str, *, force: bool = False, now: datetime | None = None) -> Issue:
        """See that the vehicle's metadata is current; with ``force``, sign all of it again."""
        raise NotImplementedError

    def attest_time(self, nonces: Iterable[str] = (), *, now: datetime | None = None) -> bytes:
        """A signed statement of the time that echoes ``nonces``. Source: Uptane 2.1.0 5.4.3.1."""
        raise NotImplementedError

    def refresh_catalogue(self, *, now: datetime | None = None) -> Mapping[str, int]:
        """Bring the verified view of the Image repository up to date; returns its versions by role."""
        raise NotImplementedError

    def rotate(self, *roles: str, plan: KeyPlan | None = None, now: datetime | None = None) -> int:
        """Give each role (root, targets, snapshot, timestamp, time) new keys; returns the new Root version.

        Vehicles' metadata is signed with the new keys when it is next asked for.
        """
        raise NotImplementedError

    def refresh_root(self, *, now: datetime | None = None) -> int:
        """Publish the same Root with a later expiry; returns its version."""
        raise NotImplementedError

    def decisions(self, vehicle: str, *, limit: int = 50) -> tuple[DecisionRecord, ...]:
        """What was decided for the vehicle, newest first."""
        raise NotImplementedError

    def manifests(self, vehicle: str, *, limit: int = 50) -> tuple[ManifestRecord, ...]:
        """What the vehicle sent, accepted or refused, newest first."""
        raise NotImplementedError

    def check(self) -> None:
        """See that the database answers and can be written to. Raises: StorageError."""
        raise NotImplementedError
