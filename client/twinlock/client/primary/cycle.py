"""One update cycle of a Primary: the seven steps of Uptane 2.1.0 5.4.2, in their order, and the report at the end.

Nothing is kept between cycles but trusted state, verified files and what the ECUs run, so a cycle that was cut off
anywhere is simply run again.

=======  ==================================================  ===========================
step     what                                                where
=======  ==================================================  ===========================
1        manifest                                            ``_send_manifest``
2        time                                                ``_take_time``
3        metadata, full verification                         ``_verify``
4        images, all of them, before any ECU is touched      ``_download``
5        time to Secondaries                                 ``Secondaries.pass_time``
6        metadata to Secondaries                             ``Secondaries.pass_metadata``
7        the last look, then images to Secondaries and ours  ``_is_superseded``, ``_install``
=======  ==================================================  ===========================
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from twinlock.client.ecu.counters import CounterResets
from twinlock.client.ecu.first_contact import as_met
from twinlock.client.ecu.reports import make_report
from twinlock.client.ecu.room import make_room
from twinlock.client.ecu.running import running_image
from twinlock.client.ecu.stored_orders import stored_orders
from twinlock.client.errors import (
    BegunUnlistedError,
    BundleHeldError,
    InstallerError,
    ManifestRefusedError,
    SecondaryRefusedError,
)
from twinlock.client.install.ab_slots import UNKNOWN, as_installed
from twinlock.client.link.parties import software_fault
from twinlock.client.model.results import CycleResult, Installation, Problem, Step, most_severe
from twinlock.client.net.images import Progress, download_image, image_urls
from twinlock.client.primary.cycle_time import take_time
from twinlock.client.primary.driver import run_verification
from twinlock.client.primary.installation_report import installation_report
from twinlock.client.primary.services import PrimaryServices
from twinlock.client.storage.needed_files import unneeded_files
from twinlock.client.storage.state import LastRefusal
from twinlock.trust.engine.last_look import is_superseded
from twinlock.trust.engine.verification import full_verification
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import ConflictError, TransportError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, EcuId
from twinlock.trust.state.trusted import ApprovedImage, Decision, TrustedVehicle, Vehicle

_LOOKS = 3  # a Director that signs again during each of three downloads does not make us download forever


@dataclass(slots=True)
class UpdateCycle:
    """One run. Use a new one for each; ``run`` does it."""

    equipment: PrimaryServices
    progress: Progress | None = None
    problems: list[Problem] = field(default_factory=list)
    notices: list[RefusalError] = field(default_factory=list)
    last_look: list[TwinlockError] = field(default_factory=list)
    installed: list[Installation] = field(default_factory=list)
    decision: Decision | None = None
    now: datetime | None = None
    reported: bool = False
    _step: Step = Step.MANIFEST

    async def run(self) -> CycleResult:
        """Run the steps. Whatever is refused or fails is in the result; nothing of it is raised."""
        try:
            make_room(self.equipment.config)
            await self._send_manifest(Step.MANIFEST)
            now = await self._take_time()
            await self._complete_begun()
            await self._carry_out(await self._verify(now))
        except TwinlockError as error:
            self.problems.append(Problem(step=self._step, error=as_met(error, self.equipment.state)))
        except Exception as raised:  # noqa: BLE001 - a fault of ours must not keep the report from the Director
            self.problems.append(Problem(step=self._step, error=software_fault(raised, self._step.value)))
        self.notices += self.equipment.fetcher.take_refused()
        self.notices += self.equipment.state.take_refused()
        await self._report()
        return self._result()

    async def _send_manifest(self, step: Step) -> None:
        """Step 1 (5.4.2.1), and once more at the end. A Director that refuses it does not stop us: it may be wrong."""
        self._step = step
        tools, own = self.equipment, self.equipment.config.ecu.ecu
        reports = await tools.secondaries.collect_reports(step, self.problems)
        installed = await self._own_image(step)
        form, signer = tools.reports, tools.signer
        report = make_report(
            own, installed, state=tools.state, clock=tools.clock, signer=signer, form=form, limits=tools.config.limits
        )
        tools.state.store_report(own, report)
        outcome = tools.state.unreported
        manifest = form.sign_manifest(tools.config.vehicle, own, [report, *reports.values()], signer, outcome)
        try:
            await tools.director.put_manifest(manifest)
        except ManifestRefusedError as error:
            self.problems.append(Problem(step=step, error=error))
            self.reported = False
        else:
            self.reported = True
            if not form.acknowledges:
                self._mark_accepted(report)
            if outcome is not None:
                tools.state.store_unreported(None)

    async def _own_image(self, step: Step) -> InstalledImage:
        """What this ECU runs, for its report. An installer of the product that cannot tell must not silence the vehicle."""
        own = self.equipment.config.ecu.ecu
        try:
            return await asyncio.to_thread(self.equipment.installer.installed)  # it may read a whole slot
        except InstallerError as error:
            self.problems.append(Problem(step=step, ecu=own, error=error))
            return InstalledImage(path=UNKNOWN, length=0, hashes={"sha256": hashlib.sha256().hexdigest()})

    def _mark_accepted(self, report: bytes) -> None:
        """A Director without acknowledgements took our report: note how new its metadata were then."""
        tools = self.equipment
        counter = tools.reports.decode_report(report, tools.config.limits).report.counter
        timestamp = tools.state.repository(DIRECTOR).timestamp
        if counter is not None:
            tools.evidence.mark_accepted(counter, timestamp.signed.version if timestamp else 0)

    async def _take_time(self) -> datetime:
        """Step 2 (5.4.2.2). The time is fixed here for the whole cycle."""
        self._step = Step.TIME
        self.now = await take_time(self.equipment, self.notices)
        return self.now

    async def _verify(self, now: datetime) -> Decision:
        """Step 3 (5.4.2.3): fetch metadata and verify it fully."""
        self._step = Step.METADATA
        tools, config = self.equipment, self.equipment.config
        vehicle = self._vehicle()
        trusted = TrustedVehicle(map=tools.map, repositories=tools.state.repositories(tools.map.repositories))
        decision = await run_verification(
            full_verification(
                trusted,
                vehicle,
                now,
                policy=config.policy,
                limits=config.limits,
                ceiling=tools.clock.ceiling(now),
            ),
            fetch=tools.fetcher.fetch,
            elsewhere=tools.fetcher.elsewhere,
            persist=tools.state.persist,
            notices=self.notices,
        )
        tools.clock.check_lag(decision.now)
        self.now = decision.now
        tools.state.store_verified_time(decision.now)
        tools.state.store_decision(decision)
        for deletion in unneeded_files(decision):
            tools.state.persist(deletion)
        tools.approvals.replace(decision.approved)
        self._hear(decision)
        self.decision = decision
        return decision

    def _hear(self, decision: Decision) -> None:
        """What verified Director metadata say of our reports: which evidence they have, and whether to restart the count."""
        tools, own = self.equipment, self.equipment.config.ecu.ecu
        director = decision.repositories[DIRECTOR]
        assert director.targets is not None
        targets = director.targets.signed
        if own in targets.acknowledged:
            tools.evidence.acknowledge(targets.acknowledged[own], targets.acknowledged_reports.get(own))
        names_us = targets.vehicle == tools.config.vehicle
        if not tools.reports.acknowledges and names_us and director.timestamp is not None:
            tools.evidence.confirm(director.timestamp.signed.version)
        CounterResets(tools.state).arm(own, targets)

    async def _carry_out(self, decision: Decision) -> None:
        """Steps 4 to 7. Before the first write, a look at whether the Director has published meanwhile: then it all counts again."""
        for _ in range(_LOOKS):
            files = await self._download(decision)
            wants = await self._inform_secondaries(decision)
            if not decision.approved or not await self._is_superseded(decision):
                await self._install(decision, files, wants)
                return
            decision = await self._verify(self.equipment.clock.now())
        reason = f"the Director published something newer at each of {_LOOKS} looks, so nothing was installed"
        raise ConflictError(what="the order for this vehicle", reason=reason)

    async def _is_superseded(self, decision: Decision) -> bool:
        """The last look at the Director's Timestamp. If it cannot be had or is refused, the approval lives by its own expiry."""
        tools, config = self.equipment, self.equipment.config
        self._step = Step.LAST_LOOK
        steps = is_superseded(
            decision.repositories[DIRECTOR],
            config.vehicle,
            tools.clock.now(),
            limits=config.limits,
            policy=config.policy,
        )
        try:
            return await run_verification(
                steps,
                fetch=tools.fetcher.fetch,
                elsewhere=tools.fetcher.elsewhere,
                persist=tools.state.persist,
                notices=self.notices,
            )
        except (RefusalError, TransportError) as error:
            self.last_look.append(error)
            return False

    async def _complete_begun(self) -> None:
        """Install our own image of a bundle that was begun, if a crash cut it off and its deadline has not passed.

        What goes wrong is a problem of this cycle and does not end it: the Director may have ordered something else since.
        """
        self._step = Step.INSTALL
        tools, own = self.equipment, self.equipment.config.ecu.ecu
        try:
            if tools.approvals.unfinished(own) is None:
                return
            running = await asyncio.to_thread(running_image, own, tools.installer, tools.state)
            entry = tools.approvals.completable(own, running, self._stored_orders)
            source = None if entry is None else await asyncio.to_thread(tools.staging.find, entry)
            if entry is not None and source is not None:
                installed = await asyncio.to_thread(tools.installer.install, entry, source)
                self.installed.append(Installation(ecu=own, image=installed))
            tools.approvals.end()
        except BegunUnlistedError as error:
            self.notices.append(error)
        except TwinlockError as error:
            self.problems.append(Problem(step=self._step, ecu=own, error=error))

    async def _download(self, decision: Decision) -> Mapping[EcuId, Path]:
        """Step 4 (5.4.2.4): every approved image is here and verified before anything else happens."""
        self._step = Step.IMAGES
        tools, config = self.equipment, self.equipment.config
        tools.staging.tidy(keep=[image.entry for image in decision.approved])
        files: dict[EcuId, Path] = {}
        for image in decision.approved:
            files[image.ecu] = await download_image(
                image,
                image_urls(image, tools.map.repositories, config.wires),
                transport=tools.transport,
                staging=tools.staging,
                progress=self.progress,
                refused=self.notices,
            )
        return files

    async def _inform_secondaries(self, decision: Decision) -> Mapping[EcuId, bool]:
        """Steps 5 and 6: time and metadata to every Secondary. Holds back the whole bundle if one cannot follow."""
        tools = self.equipment
        wants = await self._pass_time_and_metadata(tools.secondaries.members)
        # A Secondary that refused the time may not have known its key. The metadata brought the Root that names it.
        again = {problem.ecu for problem in self.problems if _refused_time(problem)} - wants.keys()
        if again:
            self.problems = [problem for problem in self.problems if problem.ecu not in again]
            wants |= await self._pass_time_and_metadata(again)
        self.problems = [problem for problem in self.problems if not (_refused_time(problem) and problem.ecu in wants)]
        ordered = [image.ecu for image in decision.approved]
        waiting = tuple(ecu for ecu in ordered if ecu in tools.secondaries.members and ecu not in wants)
        ready = tuple(ecu for ecu in ordered if ecu not in waiting)
        if waiting and tools.config.hold_incomplete_bundles:
            if ready:
                raise BundleHeldError(ready=ready, waiting=waiting)
            return {}
        return wants

    async def _pass_time_and_metadata(self, ecus: Container[EcuId | None]) -> dict[EcuId, bool]:
        """Offer both to each Secondary in ``ecus``: whether it then wants an image. One that failed is left out."""
        tools = self.equipment
        self._step = Step.SECONDARY_TIME
        await tools.secondaries.pass_time(tools.director, self.problems, ecus)
        self._step = Step.SECONDARY_METADATA
        assert self.decision is not None
        return await tools.secondaries.pass_metadata(self.decision, tools.map, tools.fetcher, self.problems, ecus=ecus)

    async def _install(self, decision: Decision, files: Mapping[EcuId, Path], wants: Mapping[EcuId, bool]) -> None:
        """Step 7 (5.4.2.7), then our own image (5.4.3.5): the Primary last, because it carries the others' bytes."""
        own = self.equipment.config.ecu.ecu
        self._step = Step.INSTALL
        self.equipment.approvals.begin(
            [image for image in decision.approved if image.ecu == own or wants.get(image.ecu)]
        )
        self._step = Step.SECONDARY_IMAGES
        wanted = {image.ecu: (image.entry, files[image.ecu]) for image in decision.approved if wants.get(image.ecu)}
        done = await self.equipment.secondaries.send_images(wanted, self.problems)
        self.installed += [_installation(image) for image in decision.approved if image.ecu in done]
        self._step = Step.INSTALL
        for image in decision.approved:
            if image.ecu != own:
                continue
            try:
                await asyncio.to_thread(self.equipment.installer.install, image.entry, files[own])
            except TwinlockError as error:
                self.problems.append(Problem(step=self._step, ecu=image.ecu, error=error))
            else:
                self.installed.append(_installation(image))
        self.equipment.approvals.end()

    async def _report(self) -> None:
        """What every failure jumps to (5.4.3.6): keep all evidence, and tell the Director if there is news."""
        tools = self.equipment
        try:
            cleared = make_room(tools.config)
            self._keep_evidence()
            self._store_outcome()
            if not self.problems:
                tools.staging.tidy()
            news = bool(self.installed) or tools.evidence.has_news
            if news and (
                cleared or self._step is not Step.MANIFEST
            ):  # a Director that cannot be reached is not asked twice
                await self._send_manifest(Step.REPORT)
        except TwinlockError as failed:
            self.reported = False
            self.problems.append(Problem(step=Step.REPORT, error=failed))
        except Exception as raised:  # noqa: BLE001 - the result has to reach the caller
            self.reported = False
            self.problems.append(Problem(step=Step.REPORT, error=software_fault(raised, Step.REPORT.value)))

    def _keep_evidence(self) -> None:
        """Every problem and notice of this cycle, for the Director until it acknowledges them; the most severe for people here."""
        tools, now = self.equipment, self.now or self.equipment.clock.best_known()
        notices = [Problem(step=Step.METADATA, error=notice) for notice in self.notices]
        looked = [Problem(step=Step.LAST_LOOK, error=error) for error in self.last_look]
        for problem in (*self.problems, *notices, *looked):
            tools.evidence.note(problem.error, step=problem.step.value, now=now)
        worst = most_severe(self.problems) or most_severe((*notices, *looked))
        refusal = None if worst is None else LastRefusal.of(worst.error, step=worst.step.value, now=self.now)
        tools.state.store_refusal(refusal)

    def _store_outcome(self) -> None:
        """Keep how an order ended until the Director has heard it, where its profile has a place for that."""
        decision = self.decision
        if decision is None or not decision.approved or decision.correlation_id is None:
            return
        if not self.equipment.reports.tells_outcomes:
            return
        approved = [image.ecu for image in decision.approved]
        installed = [done.ecu for done in self.installed]
        outcome = installation_report(decision.correlation_id, approved, installed, self.problems)
        self.equipment.state.store_unreported(outcome)

    def _vehicle(self) -> Vehicle:
        tools, config = self.equipment, self.equipment.config
        own = config.ecu.ecu
        ecus = {own: config.ecu, **{ecu: item.settings.ecu for ecu, item in tools.secondaries.members.items()}}
        installed = {**tools.secondaries.installed(), own: running_image(own, tools.installer, tools.state)}
        return Vehicle(vehicle=config.vehicle, ecus=ecus, installed=installed, complete=True)

    def _stored_orders(self) -> Mapping[EcuId, ImageEntry]:
        tools = self.equipment
        ceiling = tools.clock.ceiling(tools.clock.now())
        return stored_orders(tools.config, tools.state, self._vehicle(), tools.map, ceiling=ceiling)

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
