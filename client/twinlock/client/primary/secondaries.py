"""A Primary's Secondaries: each step runs with all of them at once, so that one that fails does not stop the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinlock.client.ecu.config import FetchSettings, SecondarySettings
from twinlock.client.ecu.counters import accept_counter, named_reset
from twinlock.client.ecu.reports import report_profile
from twinlock.client.link.protocol import SecondaryLink
from twinlock.client.model.errors import SecondaryTimeoutError
from twinlock.client.model.party_faults import link_faults
from twinlock.client.model.results import Problem, Step
from twinlock.client.net.director import DirectorLink
from twinlock.client.net.metadata import MetadataFetcher
from twinlock.client.primary.secondary_bundles import Links, SecondaryBundles
from twinlock.client.storage.metadata import RepositoryProfiles
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import ReportSignatureError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, EcuId
from twinlock.trust.policy import Policy
from twinlock.trust.state.repository_map import RepositoryMap
from twinlock.trust.state.trusted import Decision
from twinlock.trust.wire.json.brackets import is_deeper
from twinlock.trust.wire.json.prescan import check_values, count_values
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import verify_report

_LOG = logging.getLogger(__name__)
_REPORT_DEPTH = 32  # levels of JSON; a report of ours has 7
_MESSAGES = 3  # at most, to one Secondary in one step
_DEFAULT_FETCH = FetchSettings()
_MANIFEST_RESERVE = (
    8  # one part in eight of a manifest is for the Primary's own report, the signatures and the installation report
)


def manifest_share(reports: int, most: int) -> int:
    """What one of ``reports`` ECUs may always use of a manifest that holds at most ``most``, be it bytes or values."""
    return (most - most // _MANIFEST_RESERVE) // max(reports, 1)


def oversize_reports(sizes: Mapping[EcuId, int], most: int) -> list[EcuId]:
    """The ECUs whose reports are omitted so that a manifest of the others holds at most ``most``.

    The largest go first, and never one within its share: an ECU that pads its report silences no other ECU.
    """
    share = manifest_share(len(sizes), most)
    total, room = sum(sizes.values()), share * len(sizes)
    left_out = []
    for ecu, size in sorted(sizes.items(), key=lambda item: item[1], reverse=True):
        if total <= room or size <= share:
            break
        left_out.append(ecu)
        total -= size
    return left_out


@dataclass(frozen=True, slots=True)
class LinkedSecondary:
    """One Secondary: its configuration and its link."""

    settings: SecondarySettings
    link: SecondaryLink

    @property
    def ecu(self) -> EcuId:
        """Its identifier."""
        return self.settings.ecu.ecu


class Secondaries:
    """All Secondaries of one Primary. Methods append failures to ``problems`` and do not raise them."""

    def __init__(
        self,
        members: Collection[LinkedSecondary],
        state: TrustedState,
        wires: RepositoryProfiles = NOTHING,
        *,
        limits: Limits,
        policy: Policy,
        fetch: FetchSettings = _DEFAULT_FETCH,
    ) -> None:
        """``fetch`` bounds the time of each: ``deadline_s`` for a message, ``image_deadline_s`` for an image."""
        self._fetch = fetch
        self._limits = limits
        self._policy = policy
        self._stated: dict[EcuId, Mapping[str, Any]] = {}
        self.members: dict[EcuId, LinkedSecondary] = {member.ecu: member for member in members}
        self._state = state
        self._wires = wires
        self._profile = report_profile(wires.get(DIRECTOR, TUF))

    async def collect_reports(self, step: Step, problems: list[Problem]) -> dict[EcuId, bytes]:
        """A fresh report, signed by its ECU, of every Secondary that answers; each is stored under its sender.

        Source: Uptane 2.1.0 5.4.2.1 (a Primary may poll) and 5.4.3.6.
        """
        reports: dict[EcuId, bytes] = {}

        async def ask(member: LinkedSecondary) -> None:
            data = await member.link.report()
            self._check_report(member, data)
            self._state.store_report(member.ecu, data)
            reports[member.ecu] = data

        await self._each(self.members, ask, step, problems)
        for unit, measure, most in (
            ("bytes", len, self._limits.report_bytes),
            ("JSON values", count_values, self._limits.report_values),
        ):
            sizes, share = {ecu: measure(data) for ecu, data in reports.items()}, manifest_share(len(reports), most)
            for ecu in oversize_reports(sizes, most):
                error = LimitError(what=f"report of {ecu} in {unit}", value=sizes[ecu], limit=share)
                problems.append(Problem(step=step, ecu=ecu, error=error))
                del reports[ecu]
        return reports

    def installed(self) -> dict[EcuId, InstalledImage]:
        """What each Secondary runs, by its last stored report that verifies."""
        stored = self._state.reports()
        images = {}
        for ecu, member in self.members.items():
            if ecu in stored:
                try:
                    key = self._profile.reporting_key(member.settings.key)
                    images[ecu] = verify_report(self._profile.decode_report(stored[ecu], self._limits), key).installed
                except TwinlockError:
                    continue  # its key was replaced in the workshop; the next report is under the new one
        return images

    async def pass_time(self, director: DirectorLink, problems: list[Problem], ecus: Container[EcuId | None]) -> None:
        """Send each of ``ecus`` that asks for one an attestation that answers its own nonce: Uptane 2.1.0 5.4.2.5."""

        async def give(member: LinkedSecondary) -> None:
            self._stated[member.ecu] = stated = await member.link.identity()
            nonce = stated.get("timeNonce")
            if isinstance(nonce, str):
                await member.link.send_time(await director.attest_time(lambda: nonce))

        await self._each(self._among(ecus), give, Step.SECONDARY_TIME, problems)

    async def pass_metadata(
        self,
        decision: Decision,
        repositories: RepositoryMap,
        fetcher: MetadataFetcher,
        problems: list[Problem],
        *,
        ecus: Container[EcuId | None],
        links: Links,
    ) -> dict[EcuId, bool]:
        """Send each of ``ecus`` the metadata it needs (5.4.2.6); returns whether it now wants an image. Omits those that failed.

        What an ECU states that it has only saves bytes: if the bundle made for it fails, everything is sent. ``links`` are the
        Roots fetched for Secondaries, kept for one cycle: an ECU that states an old Root costs no memory after that.
        """
        wants: dict[EcuId, bool] = {}
        bundles = SecondaryBundles(
            decision,
            repositories,
            state=self._state,
            wires=self._wires,
            limits=self._limits,
            policy=self._policy,
            fetcher=fetcher,
            links=links,
        )

        async def offer(member: LinkedSecondary) -> None:
            stated = self._stated.get(member.ecu, NOTHING)
            trimmed = await bundles.trimmed(member.settings, stated)
            try:
                with link_faults(member.ecu, "take metadata"):
                    wants[member.ecu] = await member.link.send_metadata(trimmed)
            except TwinlockError as failure:
                try:
                    whole = await bundles.whole(member.settings, stated)
                except LimitError:
                    raise failure from None
                if whole == trimmed:
                    raise
                wants[member.ecu] = await member.link.send_metadata(whole)

        await self._each(self._among(ecus), offer, Step.SECONDARY_METADATA, problems)
        return wants

    async def send_images(
        self, images: Mapping[EcuId, tuple[ImageEntry, Path]], problems: list[Problem]
    ) -> frozenset[EcuId]:
        """Stream each ECU its verified image, all at once (5.4.2.7); returns those that installed it."""
        done: set[EcuId] = set()

        async def send(member: LinkedSecondary) -> None:
            await member.link.send_image(*images[member.ecu])
            done.add(member.ecu)

        chosen = {ecu: member for ecu, member in self.members.items() if ecu in images}
        await self._each(chosen, send, Step.SECONDARY_IMAGES, problems)
        return frozenset(done)

    async def close(self) -> None:
        """Close all connections. A link that fails to close keeps no other one open."""
        for member in self.members.values():
            try:
                with link_faults(member.ecu, "close"):
                    await member.link.close()
            except TwinlockError as error:
                _LOG.warning("%s", error)

    def _among(self, ecus: Container[EcuId | None]) -> dict[EcuId, LinkedSecondary]:
        return {ecu: member for ecu, member in self.members.items() if ecu in ecus}

    def _check_report(self, member: LinkedSecondary, data: bytes) -> None:
        """Refuse a report that is not this ECU's, or not new. The Director checks again; this check locates the fault."""
        check_values(data.decode("latin-1"), self._limits.report_values, f"report of {member.ecu}")
        if is_deeper(data, _REPORT_DEPTH):
            # Deeper nesting may pass in the report alone and fail in the manifest around it.
            reason = f"the report is nested deeper than {_REPORT_DEPTH} levels"
            raise MalformedError(what=f"report of {member.ecu}", json_path="$", reason=reason)
        signed = self._profile.decode_report(data, self._limits)
        if signed.report.ecu != member.ecu:
            raise ReportSignatureError(what="report", ecu=member.ecu, reason=f"the report names {signed.report.ecu}")
        key = self._profile.reporting_key(member.settings.key)
        report = verify_report(signed, key)
        self._adopt_counter(member.ecu, key)
        accept_counter(self._state, key, report, lambda: named_reset(self._state, member.ecu))

    def _adopt_counter(self, ecu: EcuId, key: PublicKey) -> None:
        """Store the counter of the stored report if an earlier version of this software kept none by key."""
        stored = self._state.reports().get(ecu)
        if stored is None or self._state.counter_of(ecu, key) is not None:
            return
        try:
            report = verify_report(self._profile.decode_report(stored, self._limits), key)
        except TwinlockError:
            return  # another key signed it, so its counter is not that of this key
        if report.counter is not None:
            self._state.store_counter_of(ecu, key, report.counter)

    async def _each(
        self,
        members: Mapping[EcuId, LinkedSecondary],
        action: Callable[[LinkedSecondary], Awaitable[None]],
        step: Step,
        problems: list[Problem],
    ) -> None:
        """Do ``action`` with all at once, each behind the boundary to its own link and within its own time."""
        images = step is Step.SECONDARY_IMAGES
        seconds = _MESSAGES * self._fetch.deadline_s + (self._fetch.image_deadline_s if images else 0)

        async def guarded(member: LinkedSecondary) -> None:
            try:
                async with asyncio.timeout(seconds):
                    with link_faults(member.ecu, f"complete the step {step.value}"):
                        await action(member)
            except TimeoutError:
                problems.append(Problem(step=step, ecu=member.ecu, error=self._too_slow(member, seconds)))
            except TwinlockError as error:
                problems.append(Problem(step=step, ecu=member.ecu, error=error))

        await asyncio.gather(*(guarded(member) for member in members.values()))

    def _too_slow(self, member: LinkedSecondary, seconds: float) -> SecondaryTimeoutError:
        reason = f"not finished within {seconds:.4g} s"
        return SecondaryTimeoutError(url=member.settings.address, reason=reason, ecu=member.ecu)
