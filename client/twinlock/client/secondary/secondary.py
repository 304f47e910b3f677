"""A Secondary: it verifies everything that its Primary sends before it acts on it.

A Secondary trusts its Primary only to deliver bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from twinlock.client.ecu.approvals import Approvals
from twinlock.client.ecu.clock import Clock, Wall, follow_roots, system_clock
from twinlock.client.ecu.config import SecondaryConfig, load_secondary, read_map
from twinlock.client.ecu.counters import CounterResets
from twinlock.client.ecu.disk_space import open_state
from twinlock.client.ecu.evidence import EvidenceBook, as_first_contact
from twinlock.client.ecu.identity import Identity, load_identity
from twinlock.client.ecu.release_counter import raise_floor, running_image
from twinlock.client.ecu.reports import check_reporting_key, make_report, report_profile
from twinlock.client.ecu.stored_orders import stored_orders
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.install.guarded import guarded_precondition
from twinlock.client.install.installer import Installer, Precondition
from twinlock.client.model.cancellation import in_thread, to_its_end
from twinlock.client.model.errors import ApprovalExpiredError, BegunUnlistedError, OutOfTurnError
from twinlock.client.model.results import Step
from twinlock.client.secondary.refusal_log import RefusalLog
from twinlock.client.storage.bundle import Bundle, decode_bundle, max_bundle_bytes
from twinlock.client.storage.needed_files import unneeded_files
from twinlock.client.storage.staging import Staging
from twinlock.client.storage.state import TrustedState
from twinlock.client.storage.write_pace import WritePace
from twinlock.trust.engine.commands import Answer, Command, Fetch, Notice, Persist, drive
from twinlock.trust.engine.verification import full_verification, partial_verification
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.metadata import TimeError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, EcuId
from twinlock.trust.state.trusted import ApprovedImage, Decision, TrustedVehicle, Vehicle
from twinlock.trust.wire.tuf.metadata import TUF

P = ParamSpec("P")
T = TypeVar("T")
_DECISIONS, _DECISION_S = 16, 10.0
"""Decisions that are the same again and are stored with their time one by one, and the seconds between them after those."""


class Secondary:
    """One Secondary ECU. Use it from one event loop, or without any.

    Its coroutines read the installer and verify in worker threads, one at a time. An event loop calls every other method by
    ``in_turn``, which keeps the loop free and the state consistent.
    """

    def __init__(
        self,
        config: SecondaryConfig,
        *,
        state: TrustedState,
        identity: Identity,
        installer: Installer,
        wall: Wall = system_clock,
    ) -> None:
        self.config = config
        self._state = state
        state.store_own_installer(own=not isinstance(installer, SlotInstaller))
        self._identity = identity
        self._installer = installer
        self._clock = Clock(config.time, state, limits=config.limits, wall=wall)
        self._staging = Staging(config.staging)
        self._map = read_map(config)
        self._profile = report_profile(config.wires.get(DIRECTOR, TUF))
        self._approvals = Approvals(state, self._clock)
        self._evidence = EvidenceBook(state)
        self._refusals = RefusalLog(state, self._evidence)
        self._wanted: ApprovedImage | None = None
        self._decided: tuple[ApprovedImage, ...] | None = None
        self._deciding = WritePace(_DECISIONS, _DECISION_S)
        self._installing = asyncio.Lock()
        self._turn = asyncio.Lock()

    @classmethod
    def open(
        cls, config: str | Path, *, wall: Wall = system_clock, precondition: Precondition | None = None
    ) -> Secondary:
        """Open the Secondary configured in ``config``, a ``secondary.json``. ``wall`` replaces the system clock.

        Raises: UsageError, ConfigurationError, StorageError, NewerStateError; ConflictError if it is already running.
        """
        settings = load_secondary(config)
        identity = load_identity(settings.key)
        check_reporting_key(settings.wires, identity.public_key)
        state = open_state(config, settings)
        try:
            ecu = settings.ecu.ecu
            installer = SlotInstaller(settings.slots, ecu, guarded_precondition(precondition, ecu))
            return cls(settings, state=state, identity=identity, installer=installer, wall=wall)
        except BaseException:
            state.close()
            raise

    def close(self) -> None:
        """Release the state."""
        self._state.close()

    def __enter__(self) -> Secondary:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    async def in_turn(self, method: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a ``method`` of this object in a worker thread, when no other one runs. Raises: what ``method`` raises."""
        try:
            async with self._turn:
                return await in_thread(method, *arguments, **named)
        finally:
            del arguments, named  # an error refers to this frame, and may be one of them

    def identity(self) -> dict[str, Any]:
        """The identity and state of this ECU. ``timeNonce`` is an open question to the time source, None if the ECU has a clock."""
        return {
            "ecu": self.config.ecu.ecu,
            "hardwareId": self.config.ecu.hardware_id,
            "verification": self.config.verification.value,
            "keyid": self._identity.public_key.keyid,
            "key": self._identity.public_key.as_json(),
            "timeNonce": self._clock.question() if self.config.time.attested else None,
            "bundleBytes": self.bundle_bytes,
            "roots": self._newest_roots(),
        }

    @property
    def bundle_bytes(self) -> int:
        """The longest bundle that this ECU reads."""
        return max_bundle_bytes(self.config.verification, self.config.limits)

    def _newest_roots(self) -> dict[str, int]:
        """The newest Root of each repository. A Primary need not send the Roots up to it. Raises: StorageError."""
        names = (DIRECTOR,) if self._map is None else tuple(self._map.repositories)
        return {name: self._state.newest_root(name).version for name in names}

    def installed(self) -> InstalledImage:
        """What this ECU runs. Raises: StorageError."""
        return self._installer.installed()

    def accept_time(self, attestation: bytes) -> datetime:
        """Step 1 (5.4.3.1): take the time from a signed attestation that answers this ECU's open question.

        A refused answer to a question is stored as evidence once; an unsolicited one is not stored, so that no sender
        can wear out the storage. Raises: AttestationError, UnsolicitedTimeError; AttestationKeyError, after which
        the Primary should send metadata with the newer Root and then ask for a new question; MalformedError,
        LimitError, StorageError.
        """
        root = self._state.repository(DIRECTOR).root.signed
        return self._clock.accept(attestation, root, dispute=lambda error: self._note(error, Step.TIME, None))

    def accept_metadata(self, bundle: bytes | Bundle | TwinlockError) -> ImageEntry | None:
        """Step 2 (5.4.3.2): verify a bundle; returns the image this ECU is to fetch now, None if there is none.

        Every fault of the bundle is evidence for the Director. The image that was approved before stays approved until its own
        expiry: a sender needs no key to send a bundle that is refused. Only a newer Root, which may revoke keys, ends that.
        Raises: any RefusalError, StorageError; trusted state then holds what passed its own checks.
        """
        try:
            return self._accept_bundle(self._read_bundle(bundle) if isinstance(bundle, bytes) else bundle)
        finally:
            del bundle  # which may be the error that is raised: see ``_accept_bundle``

    async def receive_metadata(self, bundle: bytes) -> ImageEntry | None:
        """``accept_metadata`` for a server: it is parsed and verified in worker threads, off the event loop."""
        self._check_idle()
        read = await asyncio.to_thread(self._read_bundle, bundle)
        del bundle
        try:
            return await self.in_turn(self.accept_metadata, read)
        finally:
            del read  # as in ``accept_metadata``

    def _read_bundle(self, bundle: bytes) -> Bundle | TwinlockError:
        try:
            return decode_bundle(bundle, self.config.verification, self.config.limits)
        except RefusalError as error:
            return error.with_traceback(None)  # which holds the bundle

    def _check_idle(self) -> None:
        if self._installing.locked():
            raise self._out_of_turn("is installing an image; send metadata afterwards")

    def _accept_bundle(self, offered: Bundle | TwinlockError) -> ImageEntry | None:
        self._check_idle()
        roots: dict[str, int] | None = None
        notices: list[RefusalError] = []
        now: datetime | None = None
        try:
            roots = self._newest_roots()
            if isinstance(offered, TwinlockError):
                raise offered
            now = self._time(offered, notices)
            decision = self._verify(offered, now, notices)
            self._clock.check_lag(decision.now)
        except TwinlockError as raised:
            wanted, self._wanted = self._wanted, None
            if roots is not None and self._newest_roots() == roots:
                self._wanted = wanted
            error = as_first_contact(raised, self._state)
            for notice in notices:  # their files are already stored, so no later bundle shows them again
                self._note(notice, Step.METADATA, now)
            self._note(error, Step.METADATA, now)
            try:
                raise error from (raised.__cause__ if error is raised else raised)
            finally:
                # An error refers to this frame. In a circle with it, the bundle would stay until the garbage collector runs.
                del error, notices, offered
        # Anyone can send the same bundle again and again.
        if decision.approved != self._decided or self._deciding.take_permit():
            self._state.store_verified_time(decision.now)
            self._state.store_decision(decision)
            self._decided = decision.approved
        for deletion in unneeded_files(decision):
            self._state.persist(deletion)
        self._state.store_refusal(None)
        for notice in (*notices, *self._state.take_refused()):
            self._note(notice, Step.METADATA, now)
        self._apply_acknowledgements(decision)
        self._wanted = decision.approved[0] if decision.approved else None
        self._approvals.replace(decision.approved)
        return None if self._wanted is None else self._wanted.entry

    async def accept_image(self, path: str, chunks: AsyncIterable[bytes]) -> InstalledImage:
        """Steps 3 to 5 (5.4.3.3 to 5.4.3.5): receive the wanted image, verify it, install it.

        The approval is checked again before the first write; after that a crash leaves a record that lets the same image
        be sent and installed again.
        Raises: OutOfTurnError if ``path`` is not what this ECU wants now; EndlessDataError, LengthError, DigestError,
        ReleaseCounterError; ApprovalExpiredError, TimeError; PreconditionError; StorageError. The ECU runs what it ran then.
        """
        entry = await self.in_turn(self._expected, path)
        if not self._staging.arriving:
            self._staging.tidy()  # the link sends whole images, so a partial one from before a crash is useless
        async with self._noted_installation():
            with self._staging.arrival(entry, apart=True) as arrival:
                async for chunk in chunks:
                    arrival.write(chunk)
                source = await in_thread(arrival.finish)
        return await to_its_end(self._install_expected(path, entry, source))

    async def _install_expected(self, path: str, entry: ImageEntry, source: Path) -> InstalledImage:
        async with self._noted_installation(), self._installing:
            if await self.in_turn(self._expected, path) != entry:
                raise self._out_of_turn(f"wants a different {path} by now; send metadata again", path)
            return await self._install(entry, source)

    @asynccontextmanager
    async def _noted_installation(self) -> AsyncIterator[None]:
        try:
            yield
        except OutOfTurnError:
            raise  # the sender came too late, which is evidence of nothing
        except TwinlockError as error:
            if isinstance(error, ApprovalExpiredError):
                self._wanted = None
            await self.in_turn(self._note_refused_image, error)
            raise

    def _note_refused_image(self, error: TwinlockError) -> None:
        self._note(error, Step.INSTALL, self._state.verified_time)

    def _expected(self, path: str) -> ImageEntry:
        """The image that this ECU accepts now under ``path``. Raises: OutOfTurnError if it accepts none or another one."""
        wanted = self._wanted
        entry = self._unfinished(path) if wanted is None else wanted.entry
        if entry is None or entry.path != path:
            wanted_path = "" if entry is None else entry.path
            raise self._out_of_turn(f"wants {wanted_path or 'no image'}, not {path}; send metadata first", wanted_path)
        return entry

    def _out_of_turn(self, reason: str, wanted: str = "") -> OutOfTurnError:
        return OutOfTurnError(ecu=self.config.ecu.ecu, reason=reason, wanted=wanted)

    def report(self) -> bytes:
        """Step 6 (5.4.3.6): a fresh signed report. Raises: StorageError."""
        self._refusals.flush()
        return make_report(
            self.config.ecu.ecu,
            self.installed(),
            state=self._state,
            clock=self._clock,
            signer=self._identity,
            profile=self._profile,
            limits=self.config.limits,
        )

    def _note(self, error: TwinlockError, step: Step, now: datetime | None) -> None:
        """Store the failure for ``secondary show``, and for the Director until it acknowledges it."""
        self._refusals.note(error, step=step, verified=now, now=now or self._clock.best_known())

    def _apply_acknowledgements(self, decision: Decision) -> None:
        """Apply what verified Director Targets acknowledge: evidence that the Director has, and a counter reset."""
        director = decision.repositories[DIRECTOR].targets
        assert director is not None
        ecu, targets = self.config.ecu.ecu, director.signed
        events = self._state.events()
        if ecu in targets.acknowledged:
            self._evidence.acknowledge(targets.acknowledged[ecu], targets.acknowledged_reports.get(ecu))
        if self._state.events() != events:
            self._refusals.acknowledged()
        if not self._profile.acknowledges:
            self._evidence.expire(decision.now)
        CounterResets(self._state).arm(ecu, targets)

    def _unfinished(self, path: str) -> ImageEntry | None:
        """The image that this ECU began to install before it was interrupted, if the stored metadata order it as ``path``."""
        ecu = self.config.ecu.ecu
        try:
            entry = self._approvals.unfinished(ecu)
            if entry is None or entry.path != path:
                return entry
            installed = running_image(ecu, self._installer, self._state)
            return self._approvals.completable(ecu, installed, self._stored_orders)
        except TimeError:
            return None  # without time nothing can be completed; the next bundle decides
        except BegunUnlistedError as error:
            self._note(error, Step.INSTALL, self._state.verified_time)
            return None

    def _stored_orders(self) -> Mapping[EcuId, ImageEntry]:
        ceiling = self._clock.ceiling(self._clock.now())
        return stored_orders(self.config, self._state, self._vehicle(), self._map, ceiling=ceiling)

    def _vehicle(self) -> Vehicle:
        ecu = self.config.ecu
        installed = {ecu.ecu: running_image(ecu.ecu, self._installer, self._state)}
        return Vehicle(vehicle=self.config.vehicle, ecus={ecu.ecu: ecu}, installed=installed, complete=False)

    async def _install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        if self._wanted is not None:
            await self.in_turn(self._approvals.begin, [self._wanted])
        try:
            installed = await in_thread(self._installer.install, entry, source)
        except TwinlockError:
            self._staging.tidy()
            await self.in_turn(self._end_failed)
            raise
        await self.in_turn(self._end_installed, entry)
        self._staging.tidy()
        return installed

    def _end_failed(self) -> None:
        with suppress(TwinlockError):  # if it failed after the switch, the counter of the new image holds
            running_image(self.config.ecu.ecu, self._installer, self._state)
        self._approvals.end()  # it was refused or it failed; only a crash leaves the record

    def _end_installed(self, entry: ImageEntry) -> None:
        raise_floor(self._state, entry.release_counter)
        self._wanted = None
        self._approvals.end()

    def _verify(self, offered: Bundle, now: datetime, notices: list[RefusalError]) -> Decision:
        vehicle = self._vehicle()
        ceiling = self._clock.ceiling(now)
        policy, limits = self.config.policy, self.config.limits
        steps: Generator[Command, Answer, Decision]
        if self._map is None:
            director = self._state.repository(DIRECTOR)
            steps = partial_verification(director, vehicle, now, policy=policy, limits=limits, ceiling=ceiling)
        else:
            known = TrustedVehicle(map=self._map, repositories=self._state.repositories(self._map.repositories))
            steps = full_verification(known, vehicle, now, policy=policy, limits=limits, ceiling=ceiling)
        return drive(steps, lambda command: self._answer(command, offered, notices))

    def _time(self, offered: Bundle, notices: list[RefusalError]) -> datetime:
        """The time now. Without one, the Root chain is still followed: it names the keys of the time source.

        Raises: TimeError, and what a bad Root raises.
        """
        try:
            return self._clock.now()
        except TimeError:
            director = self._state.repository(DIRECTOR)
            drive(follow_roots(director, self.config.limits), lambda command: self._answer(command, offered, notices))
            raise

    def _answer(self, command: Command, offered: Bundle, notices: list[RefusalError]) -> Answer:
        if isinstance(command, Fetch):
            return offered.fetch(command)
        if isinstance(command, Persist):
            self._state.persist(command)
        elif isinstance(command, Notice):
            notices.append(command.error)
        return None
