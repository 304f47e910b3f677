"""One update cycle of a Primary: the seven steps of Uptane 2.1.0 5.4.2, in their order, and the report at the end.

Only trusted state, verified files and what the ECUs run survive a cycle, so one that was interrupted anywhere is
simply run again.

=======  ==================================================  ===========================
step     what                                                where
=======  ==================================================  ===========================
1        manifest                                            ``manifest_step.py``
2        time                                                ``time_step.py``
3        metadata, full verification                         ``_verify``
4        images, all of them, before any ECU is touched      ``_download``
5        time to Secondaries                                 ``Secondaries.pass_time``
6        metadata to Secondaries                             ``Secondaries.pass_metadata``
7        the last look, then images to Secondaries and ours  ``_take_last_look``, ``_install``
=======  ==================================================  ===========================
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from twinlock.client.ecu.counters import CounterResets
from twinlock.client.ecu.disk_space import make_room
from twinlock.client.ecu.evidence import as_first_contact
from twinlock.client.ecu.release_counter import raise_floor, running_image
from twinlock.client.ecu.stored_orders import stored_orders
from twinlock.client.install.ab_slots import as_installed
from twinlock.client.model.cancellation import in_thread, log_failure, log_hidden_failure, to_its_end
from twinlock.client.model.errors import (
    BegunUnlistedError,
    BundleHeldError,
    SecondaryRefusedError,
)
from twinlock.client.model.party_faults import software_fault
from twinlock.client.model.results import CycleResult, Installation, Problem, Step, most_severe
from twinlock.client.net.images import Progress, download_image, image_urls
from twinlock.client.primary.driver import run_verification
from twinlock.client.primary.installation_report import installation_report
from twinlock.client.primary.manifest_step import send_manifest
from twinlock.client.primary.secondary_bundles import Links
from twinlock.client.primary.services import PrimaryServices
from twinlock.client.primary.time_step import take_time
from twinlock.client.storage.needed_files import unneeded_files
from twinlock.client.storage.records import LastRefusal
from twinlock.trust.engine.last_look import is_superseded
from twinlock.trust.engine.verification import full_verification
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import ConflictError, StorageError, TransportError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, EcuId
from twinlock.trust.state.trusted import ApprovedImage, Decision, TrustedVehicle, Vehicle

_LOOKS = 3  # a Director that signs again during each of three downloads does not make us download forever


@dataclass(slots=True)
class UpdateCycle:
    """One cycle. Make a new object for each and call ``run``."""

    services: PrimaryServices
    progress: Progress | None = None
    problems: list[Problem] = field(default_factory=list)
    notices: list[RefusalError] = field(default_factory=list)
    last_look: list[TwinlockError] = field(default_factory=list)
    installed: list[Installation] = field(default_factory=list)
    decision: Decision | None = None
    now: datetime | None = None
    reported: bool = False
    _step: Step = Step.MANIFEST
    _links: Links = field(default_factory=dict)

    async def run(self) -> CycleResult:
        """Run the steps. Refusals and failures are in the result and are not raised."""
        try:
            make_room(self.services.config)
            await self._send_manifest(Step.MANIFEST)
            now = await self._take_time()
            await to_its_end(self._complete_begun())
            await self._carry_out(await self._verify(now))
        except TwinlockError as error:
            self.problems.append(Problem(step=self._step, error=as_first_contact(error, self.services.state)))
        except Exception as raised:  # noqa: BLE001 - a bug of ours must not prevent the report to the Director
            self.problems.append(Problem(step=self._step, error=software_fault(raised, self._step.value)))
        except asyncio.CancelledError as cancelled:
            log_hidden_failure(cancelled, f"the step {self._step.value}")
            self._keep_for_next_cycle()
            raise
        self._take_refused()
        await self._report()
        return self._result()

    async def _send_manifest(self, step: Step) -> None:
        """Step 1 (5.4.2.1), and once more at the end. A manifest that cannot be made keeps no metadata from this vehicle."""
        self._step = step
        try:
            self.reported = await send_manifest(self.services, step, self.problems)
        except (TransportError, StorageError):
            raise
        except Exception as raised:  # noqa: BLE001 - a bug of ours either: the Director may order what repairs it
            error = raised if isinstance(raised, TwinlockError) else software_fault(raised, step.value)
            self.reported = False
            self.problems.append(Problem(step=step, error=error))

    async def _take_time(self) -> datetime:
        """Step 2 (5.4.2.2). The time is fixed here for the whole cycle."""
        self._step = Step.TIME
        self.now = await take_time(self.services, self.notices)
        return self.now

    async def _verify(self, now: datetime) -> Decision:
        """Step 3 (5.4.2.3): fetch metadata and verify it fully."""
        self._step = Step.METADATA
        services, config = self.services, self.services.config
        vehicle = await in_thread(self._vehicle)  # the installer reads the ECU
        trusted = TrustedVehicle(map=services.map, repositories=services.state.repositories(services.map.repositories))
        decision = await run_verification(
            full_verification(
                trusted,
                vehicle,
                now,
                policy=config.policy,
                limits=config.limits,
                ceiling=services.clock.ceiling(now),
            ),
            fetch=services.fetcher.fetch,
            elsewhere=services.fetcher.elsewhere,
            persist=services.state.persist,
            notices=self.notices,
        )
        services.clock.check_lag(decision.now)
        self.now = decision.now
        services.state.store_verified_time(decision.now)
        services.state.store_decision(decision)
        for deletion in unneeded_files(decision):
            services.state.persist(deletion)
        services.approvals.replace(decision.approved)
        self._apply_acknowledgements(decision)
        self.decision = decision
        return decision

    def _apply_acknowledgements(self, decision: Decision) -> None:
        """Apply what verified Director metadata acknowledge: evidence that the Director has, and a counter reset."""
        services, own = self.services, self.services.config.ecu.ecu
        director = decision.repositories[DIRECTOR]
        assert director.targets is not None
        targets = director.targets.signed
        if own in targets.acknowledged:
            services.evidence.acknowledge(targets.acknowledged[own], targets.acknowledged_reports.get(own))
        names_us = targets.vehicle == services.config.vehicle
        if not services.reports.acknowledges and names_us and director.timestamp is not None:
            services.evidence.confirm(director.timestamp.signed.version)
        CounterResets(services.state).arm(own, targets)

    async def _carry_out(self, decision: Decision) -> None:
        """Steps 4 to 7. Starts over if the Director has published new metadata before the first write."""
        for look in range(_LOOKS):
            if look:
                decision = await self._verify(self.services.clock.now())
            files = await self._download(decision)
            wants = await self._inform_secondaries(decision)
            if not decision.approved or not await self._take_last_look(decision):
                await self._install(decision, files, wants)
                return
        reason = f"the Director published newer metadata at each of {_LOOKS} checks, so nothing was installed"
        raise ConflictError(what="the order for this vehicle", reason=reason)

    async def _take_last_look(self, decision: Decision) -> bool:
        """Whether the Director has published anything since, by its Root and Timestamp. If they are unavailable or refused, the approval is valid until its own expiry."""
        services, config = self.services, self.services.config
        self._step = Step.LAST_LOOK
        refused: list[RefusalError] = []
        steps = is_superseded(
            decision.repositories[DIRECTOR],
            config.vehicle,
            services.clock.now(),
            limits=config.limits,
            policy=config.policy,
        )
        try:
            return await run_verification(
                steps,
                fetch=services.fetcher.fetch,
                elsewhere=services.fetcher.elsewhere,
                persist=services.state.persist,
                notices=refused,
            )
        except (RefusalError, TransportError) as error:
            self.last_look.append(error)
            return False
        finally:
            self.last_look += refused

    async def _complete_begun(self) -> None:
        """Install our own image of a bundle that was begun, if a crash interrupted it and its deadline has not passed.

        A failure here is a problem of this cycle and does not end it: the Director may have ordered something else since.
        """
        self._step = Step.INSTALL
        services, own = self.services, self.services.config.ecu.ecu
        try:
            if services.approvals.unfinished(own) is None:
                return
            running = await in_thread(running_image, own, services.installer, services.state)
            entry = await in_thread(services.approvals.completable, own, running, self._stored_orders)
            source = None if entry is None else await in_thread(services.staging.find, entry)
            if entry is not None and source is not None:
                installed = await in_thread(services.installer.install, entry, source)
                raise_floor(services.state, entry.release_counter)
                self.installed.append(Installation(ecu=own, image=installed))
            services.approvals.end()
        except BegunUnlistedError as error:
            self.notices.append(error)
        except TwinlockError as error:
            self.problems.append(Problem(step=self._step, ecu=own, error=error))

    async def _download(self, decision: Decision) -> Mapping[EcuId, Path]:
        """Step 4 (5.4.2.4): download and verify every approved image before anything else happens."""
        self._step = Step.IMAGES
        services, config = self.services, self.services.config
        services.staging.tidy(keep=[image.entry for image in decision.approved])
        files: dict[EcuId, Path] = {}
        for image in decision.approved:
            files[image.ecu] = await download_image(
                image,
                image_urls(image, services.map.repositories, config.wires),
                transport=services.transport,
                staging=services.staging,
                progress=self.progress,
                refused=self.notices,
            )
        return files

    async def _inform_secondaries(self, decision: Decision) -> Mapping[EcuId, bool]:
        """Steps 5 and 6: time and metadata to every Secondary. Withholds the whole bundle if one ECU of it fails."""
        services = self.services
        wants = await self._pass_time_and_metadata(services.secondaries.members)
        # A Secondary may have refused the time for want of the key. The metadata included the Root that names it.
        again = {problem.ecu for problem in self.problems if _refused_time(problem)} - wants.keys()
        if again:
            self.problems = [problem for problem in self.problems if problem.ecu not in again]
            wants |= await self._pass_time_and_metadata(again)
        self.problems = [problem for problem in self.problems if not (_refused_time(problem) and problem.ecu in wants)]
        ordered = [image.ecu for image in decision.approved]
        waiting = tuple(ecu for ecu in ordered if ecu in services.secondaries.members and ecu not in wants)
        ready = tuple(ecu for ecu in ordered if ecu not in waiting)
        if waiting and services.config.hold_incomplete_bundles:
            if ready:
                raise BundleHeldError(ready=ready, waiting=waiting)
            return {}
        return wants

    async def _pass_time_and_metadata(self, ecus: Container[EcuId | None]) -> dict[EcuId, bool]:
        """Send both to each Secondary in ``ecus``; returns whether it wants an image. Omits those that failed."""
        services = self.services
        self._step = Step.SECONDARY_TIME
        await services.secondaries.pass_time(services.director, self.problems, ecus)
        self._step = Step.SECONDARY_METADATA
        assert self.decision is not None
        return await services.secondaries.pass_metadata(
            self.decision, services.map, services.fetcher, self.problems, ecus=ecus, links=self._links
        )

    async def _install(self, decision: Decision, files: Mapping[EcuId, Path], wants: Mapping[EcuId, bool]) -> None:
        """Step 7 (5.4.2.7), then our own image (5.4.3.5): the Primary last, because it carries the others' bytes."""
        own = self.services.config.ecu.ecu
        self._step = Step.INSTALL
        begun = [image for image in decision.approved if image.ecu == own or wants.get(image.ecu)]
        self.services.approvals.begin(begun)
        self._step = Step.SECONDARY_IMAGES
        wanted = {image.ecu: (image.entry, files[image.ecu]) for image in decision.approved if wants.get(image.ecu)}
        done = await self.services.secondaries.send_images(wanted, self.problems)
        self.installed += [_installation(image) for image in decision.approved if image.ecu in done]
        await to_its_end(self._install_own([image for image in decision.approved if image.ecu == own], files))

    async def _install_own(self, images: Collection[ApprovedImage], files: Mapping[EcuId, Path]) -> None:
        """Install our image and record that: a cycle that is cancelled meanwhile ends after both."""
        self._step = Step.INSTALL
        for image in images:
            try:
                await in_thread(self.services.installer.install, image.entry, files[image.ecu])
                raise_floor(self.services.state, image.entry.release_counter)
            except TwinlockError as error:
                self.problems.append(Problem(step=self._step, ecu=image.ecu, error=error))
                with suppress(TwinlockError):  # if it failed after the switch, the counter of the new image holds
                    await in_thread(running_image, image.ecu, self.services.installer, self.services.state)
            else:
                self.installed.append(_installation(image))
        self.services.approvals.end()

    async def _report(self) -> None:
        """Every failure continues here (5.4.3.6): store all evidence, and report to the Director if there is news."""
        services = self.services
        try:
            cleared = make_room(services.config)
            self._keep_evidence()
            self._store_outcome()
            if not self.problems:
                services.staging.tidy()
            # A Director that could not be reached is not asked twice.
            if (self.installed or services.evidence.has_news) and (cleared or self._step is not Step.MANIFEST):
                await self._send_manifest(Step.REPORT)
        except TwinlockError as failed:
            self.reported = False
            self.problems.append(Problem(step=Step.REPORT, error=failed))
        except Exception as raised:  # noqa: BLE001 - the result must reach the caller
            self.reported = False
            self.problems.append(Problem(step=Step.REPORT, error=software_fault(raised, Step.REPORT.value)))

    def _keep_evidence(self) -> None:
        """Store every problem and notice for the Director until it acknowledges them, and the most severe for people here."""
        services, now = self.services, self.now or self.services.clock.best_known()
        notices = [Problem(step=Step.METADATA, error=notice) for notice in self.notices]
        looked = [Problem(step=Step.LAST_LOOK, error=error) for error in self.last_look]
        for problem in (*self.problems, *notices, *looked):
            services.evidence.note(problem.error, step=problem.step.value, now=now)
        worst = most_severe(self.problems) or most_severe((*notices, *looked))
        refusal = None if worst is None else LastRefusal.of(worst.error, step=worst.step.value, now=self.now)
        services.state.store_refusal(refusal)

    def _keep_for_next_cycle(self) -> None:
        """A cancelled cycle reports nothing, so the next one reports what this one met."""
        try:
            self._take_refused()
            if self.problems or self.notices or self.last_look:
                self._keep_evidence()
        except Exception as failure:  # noqa: BLE001 - the cancellation comes first
            log_failure(failure, "a cycle that was cancelled")

    def _take_refused(self) -> None:
        self.notices += self.services.fetcher.take_refused()
        self.notices += self.services.state.take_refused()

    def _store_outcome(self) -> None:
        """Store how an order ended until the Director has received it, if its profile has a place for that."""
        decision = self.decision
        if decision is None or not decision.approved or decision.correlation_id is None:
            return
        if not self.services.reports.reports_outcomes:
            return
        approved = [image.ecu for image in decision.approved]
        installed = [done.ecu for done in self.installed]
        outcome = installation_report(decision.correlation_id, approved, installed, self.problems)
        self.services.state.store_unreported(outcome)

    def _vehicle(self) -> Vehicle:
        services, config = self.services, self.services.config
        own = config.ecu.ecu
        ecus = {own: config.ecu, **{ecu: item.settings.ecu for ecu, item in services.secondaries.members.items()}}
        installed = {**services.secondaries.installed(), own: running_image(own, services.installer, services.state)}
        return Vehicle(vehicle=config.vehicle, ecus=ecus, installed=installed, complete=True)

    def _stored_orders(self) -> Mapping[EcuId, ImageEntry]:
        services = self.services
        ceiling = services.clock.ceiling(services.clock.now())
        return stored_orders(services.config, services.state, self._vehicle(), services.map, ceiling=ceiling)

    def _result(self) -> CycleResult:
        decision = self.decision
        return CycleResult(
            now=self.now,
            verified=decision is not None,
            approved=tuple(map(_installation, decision.approved)) if decision else (),
            installed=tuple(self.installed),
            problems=tuple(self.problems),
            notices=(*self.notices, *self.last_look),
            reported=self.reported,
            correlation_id=decision.correlation_id if decision else None,
            missing_guarantees=decision.missing_guarantees if decision else (),
        )


def _refused_time(problem: Problem) -> bool:
    return problem.step is Step.SECONDARY_TIME and isinstance(problem.error, SecondaryRefusedError)


def _installation(image: ApprovedImage) -> Installation:
    return Installation(ecu=image.ecu, image=as_installed(image.entry))
