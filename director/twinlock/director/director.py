"""The Director as one object: what the command, the server, the demo and tests use.

    from twinlock.director.director import Director

    director = Director.create("director", image_root=anchor, image_url="http://127.0.0.1:8080")   # or a directory
    director.register(description)                       # JSON bytes or a mapping: twinlock primary describe
    director.receive_manifest(manifest_bytes)            # Acceptance, or a RefusalError; stored either way
    director.assign("VIN1", {"ecu-brake": "brake/brake-2.0.bin"})    # Plan; raises NoImageSetError with the causes
    director.metadata("VIN1", "timestamp.json")          # bytes or None; signed on demand
    director.metadata("VIN1", "1.root.json")

The modules next to this one do the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

from tuf.api.metadata import Metadata, Root

from twinlock.director.catalogue.catalogue import CatalogueKeeper
from twinlock.director.catalogue.source import open_source
from twinlock.director.devices.enrolment import create_token, enrol_vehicle, register_vehicle
from twinlock.director.devices.refusals import note_refused_registration
from twinlock.director.devices.service import DeviceService
from twinlock.director.inventory.assignments import load_assignments
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import OPERATOR
from twinlock.director.inventory.retention import prune_history
from twinlock.director.inventory.vehicles import list_vehicles, load_vehicle
from twinlock.director.manifests.intake import ManifestIntake
from twinlock.director.model.profiles import OldChain
from twinlock.director.model.records import (
    AKTUALIZR_PROFILE,
    TUF_PROFILE,
    Acceptance,
    AssignedPlan,
    Assignment,
    Issue,
    Plan,
    Served,
    VehicleRecord,
    VehicleSummary,
)
from twinlock.director.model.settings import Settings
from twinlock.director.model.vehicle_description import read_description
from twinlock.director.operator.assigning import Assigning
from twinlock.director.operator.batches import Batches
from twinlock.director.setup.config import read_config, replace_config
from twinlock.director.setup.create import create_director, open_keyring, open_profiles
from twinlock.director.signing.clock import SigningClock
from twinlock.director.signing.issue import MetadataIssuer
from twinlock.director.signing.metadata_files import Serving
from twinlock.director.signing.publish_root import RootKeeper
from twinlock.director.signing.readiness import Readiness
from twinlock.director.signing.recovery import FleetClockRecovery, recover_clock
from twinlock.director.signing.revoked_keys import as_far_as_allowed
from twinlock.director.signing.roots import ROOT_DUE, check_signing, time_keyids
from twinlock.director.status.fleet import FleetStatus, read_status
from twinlock.director.status.history_view import HistoryView
from twinlock.director.ways_out.service import RecoveryService
from twinlock.repository.keys.keyring import KeyPlan, Passphrase
from twinlock.repository.keys.passphrases import online_secret
from twinlock.repository.model.views import RootView
from twinlock.repository.publishing.root_cancelling import CancelledRoot
from twinlock.repository.signing.named_keys import NamedKey
from twinlock.repository.store.publication_log import following_publication
from twinlock.repository.workspace.validity import Clock, utc_now
from twinlock.trust.errors.base import RefusalError, UsageError
from twinlock.trust.names import VehicleId
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.tuf.attestation import sign_attestation


class Director(HistoryView):
    """A Director in a directory, with the keys that are held there.

    ``now`` is always UTC and defaults to ``clock()``. Every method may raise StorageError; those that name a vehicle
    UnknownVehicleError; those that sign PassphraseError.
    """

    def __init__(
        self, path: Path, settings: Settings, database: Inventory, passphrase: Passphrase, clock: Clock, *, actor: str
    ) -> None:
        """Not for callers: use ``create`` or ``open``."""
        path = Path(path)
        self.path: Path = path
        keyring = open_keyring(path, settings, passphrase)
        self.settings: Settings = settings
        self.actor: str = actor
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._profiles = profiles = open_profiles()
        self._catalogues = CatalogueKeeper(
            database, open_source(settings.image_url), max_age_s=settings.catalogue_max_age_s
        )
        self._signing_clock = SigningClock(database, self._catalogues)
        self._issuer = MetadataIssuer(
            database, self._catalogues, keyring, settings, clock=self._signing_clock, profiles=profiles
        )
        self._readiness = Readiness(database, self._catalogues, keyring, self._signing_clock)
        self._assigning = Assigning(database, self._issuer)
        self._serving = Serving(database, self._issuer, profiles)
        self.roots: RootKeeper = RootKeeper(
            path, database, keyring, settings, profiles, save=partial(replace_config, path), actor=actor
        )
        self._intake = ManifestIntake(database, self._catalogues, settings.manifest_policy, profiles)
        self.ways_out: RecoveryService = RecoveryService(database, settings, profiles, clock=clock, actor=actor)
        secret, second = online_secret(passphrase), settings.second_person
        self.devices: DeviceService = DeviceService(
            path, database, secret, online_keys=keyring.online, second_person=second, clock=clock, actor=actor
        )
        self.batches: Batches = Batches(database, self._assigning, self.devices, clock, actor)

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
        actor: str = OPERATOR,
    ) -> Self:
        """Make a Director: keys for each role, Root 1, an empty inventory, trust in the Image Root given.

        ``image_url`` is the Image repository's base URL or directory (the one that holds ``metadata/``).
        Raises: UsageError if ``path`` holds a Director already, RefusalError for a bad Image Root.
        """
        create_director(
            Path(path),
            image_root=image_root,
            image_url=image_url,
            passphrase=passphrase,
            plans=keys or {},
            settings=settings or Settings(),
            now=clock(),
            actor=actor,
        )
        return cls.open(path, passphrase=passphrase, clock=clock, actor=actor)

    @classmethod
    def open(
        cls, path: str | Path, *, passphrase: Passphrase = None, clock: Clock = utc_now, actor: str = OPERATOR
    ) -> Self:
        """Open a Director; the audit names ``actor``. Raises: UsageError if ``path`` holds none, NewerStateError."""
        directory = Path(path)
        settings = read_config(directory)
        database = Inventory.connect(settings.database, directory=directory)
        try:
            database.check_version()
            opened = cls(directory, settings, database, passphrase, clock, actor=actor)
            with as_far_as_allowed():
                opened.roots.retire_revoked(clock())
            return opened
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the database and drop opened keys."""
        self._database.close()
        self._keyring.forget()
        self.devices.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def root_bytes(self, version: int | None = None, *, profile: str = TUF_PROFILE) -> bytes:
        """A Root file of this Director in a profile: the newest, or that ``version``. What a vehicle is built with."""
        return self.roots.read(version, profile)

    def register(self, description: bytes | Mapping[str, Any], *, now: datetime | None = None) -> bool:
        """Register a vehicle; True if it is new, False if exactly this is registered already.

        Raises: MalformedError, WeakKeyError, UnsafePathError, RegistrationError, SecondPersonError.
        """
        read = read_description(description)
        with self._database.writing("register a vehicle") as connection:
            second, moment = self.settings.second_person, now or self._clock()
            return register_vehicle(connection, read, second_person=second, actor=self.actor, now=moment)

    def enrolment_token(self, vehicle: str, *, valid_s: int = 86_400, now: datetime | None = None) -> str:
        """A token with which ``vehicle`` may register itself once over HTTP. It is shown only here."""
        with self._database.writing("store a token") as connection:
            return create_token(connection, vehicle, valid_s=valid_s, actor=self.actor, now=now or self._clock())

    def enrol(self, vehicle: str, token: str, description: bytes, *, now: datetime | None = None) -> bool:
        """Register with a token, as ``register``. Raises: EnrolmentTokenError, and what ``register`` does."""
        read, moment = read_description(description), now or self._clock()
        try:
            with self._database.writing("enrol a vehicle") as connection:
                second = self.settings.second_person
                return enrol_vehicle(connection, vehicle, token, read, second_person=second, now=moment)
        except RefusalError as error:  # raised only after the token was found to be this vehicle's
            with self._database.writing("note a refused registration") as connection:
                note_refused_registration(
                    connection, VehicleId(vehicle), read.ecus, error, authenticated=True, now=moment
                )
            raise

    def vehicles(self) -> tuple[VehicleSummary, ...]:
        """All registered vehicles, by id."""
        with self._database.reading() as connection:
            return list_vehicles(connection)

    def vehicle(self, vehicle: str) -> VehicleRecord:
        """One vehicle with its ECUs and what they last reported."""
        with self._database.reading() as connection:
            return load_vehicle(connection, vehicle)

    def assignments(self, vehicle: str) -> tuple[Assignment, ...]:
        """What is assigned to the ECUs of a vehicle."""
        with self._database.reading() as connection:
            load_vehicle(connection, vehicle)
            return load_assignments(connection, vehicle)

    def assign(
        self,
        vehicle: str,
        images: Mapping[str, str],
        *,
        actor: str | None = None,
        now: datetime | None = None,
    ) -> AssignedPlan:
        """Demand that each ECU run the image of that target path; others move only if a dependency needs it.

        Nothing is stored unless the whole set fits. Raises: NoSuchEcuError, UnknownImageError, NoImageSetError,
        HardwareError, ReleaseCounterError, RefusalError and TransportError of the Image repository.
        """
        return self._assigning.assign(vehicle, images, actor=actor or self.actor, now=self._moment(now))

    def unassign(
        self, vehicle: str, ecus: Iterable[str] | None = None, *, actor: str | None = None, now: datetime | None = None
    ) -> Plan:
        """Withdraw the assignments of ``ecus`` (None: all). Raises: UsageError if there are none."""
        return self._assigning.unassign(vehicle, ecus, actor=actor or self.actor, now=self._moment(now))

    def explain(self, vehicle: str, images: Mapping[str, str] | None = None, *, now: datetime | None = None) -> Plan:
        """What the Director would order now, and why; with ``images``, as if they were assigned. Changes nothing."""
        return self._assigning.explain(vehicle, images, now=now or self._clock())

    def receive_manifest(
        self,
        data: bytes,
        *,
        vehicle: str | None = None,
        authenticated: bool = False,
        now: datetime | None = None,
    ) -> Acceptance:
        """Judge a vehicle version manifest and store what it reports; ``vehicle`` is whose URL it came to.

        ``authenticated``: the sender proved to be that vehicle, by a certificate for instance. A refused manifest is
        stored with its verdict and changes nothing else. Raises: as ``ManifestIntake.receive``.
        """
        return self._intake.receive(data, address=vehicle, authenticated=authenticated, now=now or self._clock())

    def metadata(self, vehicle: str, name: str, *, now: datetime | None = None) -> bytes | None:
        """A metadata file of one vehicle by its file name; None if there is none of that name.

        Asking for an unversioned name plans and signs again when something changed or is about to expire.
        """
        served = self.serve(vehicle, name, now=now)
        return None if served is None else served.data

    def serve(self, vehicle: str, name: str, *, now: datetime | None = None) -> Served | None:
        """As ``metadata``, with the correlation id of the file's order where that is known."""
        return self._serving.serve(vehicle, name, now or self._clock())

    def issue(self, vehicle: str, *, force: bool = False, now: datetime | None = None) -> Issue:
        """Make the vehicle's metadata current; with ``force``, sign all of it again."""
        return self._issuer.ensure_current(vehicle, now or self._clock(), force=force)

    def attest_time(self, nonces: Iterable[str] = (), *, now: datetime | None = None) -> bytes:
        """A signed statement of the time that echoes ``nonces``. Source: Uptane 2.1.0 5.4.3.1.

        Raises: ClockBehindError, ClockContradictedError: a false time would lock every ECU that accepts it.
        """
        moment = self._moment(now)
        root = Metadata[Root].from_bytes(self.root_bytes()).signed
        signer = self._keyring.raw_signer(time_keyids(root)[0])
        self._signing_clock.note(moment)
        return sign_attestation(moment, tuple(nonces), signer)

    def recover_clock(self, *, now: datetime | None = None) -> FleetClockRecovery:
        """Confirm that the clock is right now and was ahead before, and sign again what stated a time of the future.

        Raises: NothingToRecoverError, ClockContradictedError; and as ``issue``.
        """
        moment = now or self._clock()

        def sign(vehicle: str) -> Issue:
            return self._issuer.ensure_current(vehicle, moment, force=True)

        return recover_clock(self._database, self._catalogues, sign, actor=self.actor, now=moment)

    def _moment(self, now: datetime | None) -> datetime:
        """The time of something that leads to a signature. Raises: ClockBehindError, ClockContradictedError."""
        moment = now or self._clock()
        self._signing_clock.check(moment)
        return moment

    def refresh_catalogue(self, *, now: datetime | None = None) -> Mapping[str, int]:
        """Bring the verified view of the Image repository up to date; returns its versions by role."""
        return self._catalogues.refresh(now or self._clock()).versions

    def rotate(self, *roles: str, plan: KeyPlan | None = None, now: datetime | None = None) -> int:
        """Give each role (root, targets, snapshot, timestamp, time) new keys; returns the new Root version.

        Vehicles' metadata is signed with them when next asked for. Raises: ProfileError for a kind that clients cannot read.
        """
        if not roles:
            raise UsageError(reason="name at least one role to rotate")
        return self._sign_root(now, lambda moment: self.roots.follow(moment, roles, plan))

    def prepare_root(
        self, target: str | Path, plans: Mapping[str, KeyPlan | None], *, now: datetime | None = None
    ) -> RootView:
        """Write the next Root to a file for others to sign. Parameters and errors: as ``RootKeeper.prepare``."""
        return self.roots.prepare(self._moment(now), plans, Path(target))

    def publish_root(self, path: str | Path, *, now: datetime | None = None) -> int:
        """Publish a Root that others signed; returns its version. Raises: as ``RootKeeper.publish``."""
        return self._sign_root(now, lambda moment: self.roots.publish(moment, Path(path)))

    def cancel_root(self, path: str | Path, *, now: datetime | None = None) -> CancelledRoot:
        """End the ceremony of a prepared Root that lacks signatures. Raises: as ``RootKeeper.cancel``."""
        return self.roots.cancel(now or self._clock(), Path(path))

    def named_keys(self) -> dict[str, NamedKey]:
        """The keys that the newest Root names in every profile, by id."""
        return self.roots.named_keys()

    def refresh_root(self, *, now: datetime | None = None) -> int:
        """Publish the same Root with a later expiry; returns its version."""
        return self._sign_root(now, lambda moment: self.roots.follow(moment, (), None))

    def _sign_root(self, now: datetime | None, publish: Callable[[datetime], int]) -> int:
        moment = self._moment(now)
        version = publish(moment)
        with following_publication("its time is not recorded; `twinlock director refresh` records the next one"):
            self._signing_clock.note(moment)
        return version

    def add_wire(
        self, wire: str, *, continue_from: OldChain | None = None, new_chain: bool = False, now: datetime | None = None
    ) -> int:
        """Publish Roots in the profile ``wire`` too; returns the newest version in it. All as ``RootKeeper.enable``."""
        moment = self._moment(now)
        version = self.roots.enable(wire, moment, continue_from, new_chain=new_chain)
        self.settings = self.roots.settings
        return version

    def hand_over(self, until: date | None = None, *, now: datetime | None = None) -> int:
        """See ``RootKeeper.hand_over``, and docs/cross-profile-roots.md for why."""
        version = self.roots.hand_over(AKTUALIZR_PROFILE, self._moment(now), until)
        self.settings = self.roots.settings
        return version

    def prune(self, older_than: timedelta, *, now: datetime | None = None) -> dict[str, int]:
        """Delete history that is older; returns how many rows of each table. What is in force is kept."""
        moment = now or self._clock()
        with self._database.writing("prune the history") as connection:
            return prune_history(connection, moment - older_than, actor=self.actor, now=moment)

    def status(self, *, now: datetime | None = None, look: bool = False) -> FleetStatus:
        """The state of the Director and of its vehicles. With ``look`` the Image repository is asked and keys are tried."""
        moment = now or self._clock()
        attempts = {
            "the Director cannot sign": lambda: self.check(now=moment),
            "the Director cannot sign by its clock": lambda: self._signing_clock.check(moment),
            "the Image repository cannot be used": lambda: self._catalogues.current(moment),
        }
        expires = Metadata[Root].from_bytes(self.root_bytes()).signed.expires
        due = () if expires - moment > ROOT_DUE else (f"the Root expires at {format_time(expires)}",)
        return read_status(self._database, attempts if look else {}, due=due, now=moment)

    def check(self, *, now: datetime | None = None) -> None:
        """Check that the database can be written to, Root is valid, and the online keys are held and open.

        Raises: StorageError, ExpiredError, MissingKeysError, PassphraseError.
        """
        with self._database.writing("check"):
            pass
        check_signing(self.root_bytes(), self._keyring, now or self._clock())

    def check_ready(self, *, now: datetime | None = None) -> None:
        """Check that this Director can do all of its work, now and soon (``signing.readiness``). Raises: NotReadyError."""
        self._readiness.judge(now or self._clock())
