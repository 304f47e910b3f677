"""What aktualizr can and cannot do: the facts that manifests are judged by, and what it needs of a plan.

This client forgets no list that it was sent: an empty one withdraws nothing, and a file name means one content to it
forever. Its Secondaries read no delegations, and refuse a list of which top-level Targets do not list every image. It reads
64 KiB of Director Targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from twinlock.director.model.clients import Client, ImageListing
from twinlock.director.model.plan import PlanInputs, PlannedTargets, entries_as_json
from twinlock.director.model.records import EcuRecord, PlannedImage
from twinlock.director.model.software import read_software, same_image
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.target_format import FILE, OSTREE
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, TargetPath
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.encode import translate_director_targets
from twinlock.trust.wire.aktualizr.reports import is_nothing

# What Targets hold in addition to images: the signatures of some keys, the vehicle's id, times and versions.
_FRAME_BYTES = 4_096
_MAX_DEPTH = 5  # delegations that the client follows, one into the other
_TIME = "2030-01-01T00:00:00Z"

INSTALLED_INSTEAD = "an empty list would not reach this client, so its Targets list what is installed"
UNREACHABLE = (
    "an empty list does not reach this client, and nothing that it has installed can be listed in place of it: "
    "it may still install what an earlier list ordered"
)


FIRST_ORDER = (
    "this order cannot be withdrawn: an empty list does not reach this client, and nothing that it has installed can be "
    "listed in its place; another order for the same ECU replaces it"
)


class AktualizrClient(Client):
    """See ``Client``.

    What a vehicle was built with is not known, so both formats may be ordered; one that cannot pull commits refuses them
    itself. A restored client sends the very reports that it sent before, with no nonce.
    """

    formats: ClassVar[tuple[str, ...]] = (FILE, OSTREE)
    reads_addresses: ClassVar[bool] = True
    echoes_nonces: ClassVar[bool] = False
    may_lack_time: ClassVar[bool] = True
    forgets_withdrawn: ClassVar[bool] = False

    def reports_no_image(self, installed: InstalledImage) -> bool:
        """See ``Client``."""
        return is_nothing(installed)

    def format_without_length(self) -> str:
        """See ``Client``: it reports a commit as an image of no length."""
        return OSTREE

    def obstacles(self, inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing) -> tuple[str, ...]:
        """See ``Client``."""
        return (
            *_too_deep(inputs, planned, listing),
            *_delegated_beside_secondaries(inputs, planned, listing),
            *_names_used_before(inputs, planned),
            *_unwritable(inputs, planned),
        )

    def with_notes(self, inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing) -> PlannedTargets:
        """See ``Client``."""
        if not planned.entries:
            return planned
        notes = [*_ambiguous_for_tuf_secondaries(inputs, planned, listing)]
        if not any(_nameable(inputs, listing)):
            notes.append(FIRST_ORDER)
        return replace(planned, plan=replace(planned.plan, reasons=(*planned.plan.reasons, *notes)))

    def list_installed(
        self, inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing | None
    ) -> PlannedTargets:
        """See ``Client``: what is installed, where an empty list would have to withdraw something.

        Only what the Image repository lists now can be named; without a look at it (None), what the Primary runs, by what
        is remembered. To list what is installed already makes the client do nothing, and forget the list before.
        """
        if planned.entries or not inputs.listed:
            return planned
        nameable = list(_nameable(inputs, listing))
        # Secondaries would refuse a list of which top-level Targets do not list every image; a list without them may.
        chosen = [(ecu, entry) for ecu, entry, at_top in nameable if at_top]
        chosen = chosen or [(ecu, entry) for ecu, entry, _ in nameable if ecu == inputs.record.primary]
        listed = _list(planned, chosen)
        while listed.entries and any(_unwritable(inputs, listed)):
            chosen.pop()
            listed = _list(planned, chosen)
        reason = INSTALLED_INSTEAD if listed.entries else UNREACHABLE
        return replace(listed, plan=replace(listed.plan, reasons=(*planned.plan.reasons, reason)))


def _ambiguous_for_tuf_secondaries(inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing) -> Iterator[str]:
    """A Secondary with ``verification_type`` Tuf chooses by hardware alone; no registration states how one verifies."""
    ecus = inputs.record.ecus
    for order in planned.plan.orders:
        hardware = ecus[order.ecu].hardware_id
        if not ecus[order.ecu].primary and listing.count(hardware) > 1:
            yield (
                f"{order.ecu}: several images are listed for {hardware}; if this Secondary is configured with verification_type "
                "Tuf, it refuses the order, and the Primary's installation fails with it (use Full)"
            )


def _too_deep(inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing) -> Iterator[str]:
    for order in planned.plan.orders:
        chain = listing.chain(order.path, inputs.record.ecus[order.ecu].hardware_id)
        if len(chain) - 1 > _MAX_DEPTH:
            yield (
                f"{order.path} is listed {len(chain) - 1} delegations down, by {chain[-1]}, and this client follows "
                f"no more than {_MAX_DEPTH}"
            )


def _delegated_beside_secondaries(inputs: PlanInputs, planned: PlannedTargets, listing: ImageListing) -> Iterator[str]:
    ecus = inputs.record.ecus
    secondaries = sorted(order.ecu for order in planned.plan.orders if not ecus[order.ecu].primary)
    if not secondaries:
        return
    for order in planned.plan.orders:
        chain = listing.chain(order.path, ecus[order.ecu].hardware_id)
        if len(chain) > 1:
            yield (
                f"{order.path} for {order.ecu} is listed by the delegated role {chain[-1]}, which the Secondaries of this "
                f"client do not read ({', '.join(secondaries)} would refuse the order): top-level Targets have to list it"
            )


def _names_used_before(inputs: PlanInputs, planned: PlannedTargets) -> Iterator[str]:
    installed = {ecu: report.installed for ecu, report in inputs.record.reports.items()}
    for path, entry in planned.entries.items():
        for ecu, image in sorted(installed.items()):
            if _is_other_content(image, entry):
                yield f"{path} is the name of another image that {ecu} runs, and this client never accepts other content under a known name"
                break
        else:
            if any(_is_other_content(image, entry) for image in inputs.listed):
                yield f"{path} was ordered with other content before, and this client never accepts other content under a known name"


def _is_other_content(image: InstalledImage, entry: ImageEntry) -> bool:
    if image.path != entry.path:
        return False
    common = image.hashes.keys() & entry.hashes.keys()
    return image.length != entry.length or any(image.hashes[name] != entry.hashes[name] for name in common)


def _unwritable(inputs: PlanInputs, planned: PlannedTargets) -> Iterator[str]:
    """Why the profile cannot express a plan: a size that the client does not read, or a digest that it does not know."""
    record = inputs.record
    custom = {"vehicleIdentifier": record.vehicle, "correlationId": "urn:uuid:"}
    entries = entries_as_json(planned, record.ecus)
    plain = {"version": 1, "expires": _TIME, "issued": _TIME, "custom": custom, "targets": entries}
    try:
        size = len(form.encode_envelope(translate_director_targets(plain), ())) + _FRAME_BYTES
    except ProfileError as error:
        yield str(error)
    except ValueError as error:
        yield f"this client could not read the order: {error}"
    else:
        if size > form.MAX_DIRECTOR_TARGETS_BYTES:
            limit = form.MAX_DIRECTOR_TARGETS_BYTES
            yield f"the order would take {size} bytes, and this client reads at most {limit} of one"


def _nameable(inputs: PlanInputs, listing: ImageListing | None) -> Iterator[tuple[EcuId, ImageEntry, bool]]:
    """The installed images that can be listed, by ECU, and whether top-level Targets list them."""
    for ecu, record in inputs.record.ecus.items():
        installed = inputs.installed_on(ecu)
        if installed is None or is_nothing(installed):
            continue
        entry, at_top = inputs.known.get(ecu), False
        if listing is not None:
            entry = None
            with suppress(TwinlockError):  # whatever is wrong with that entry, it cannot be listed
                entry = listing.find(installed.path, record.hardware_id)
                at_top = len(listing.chain(installed.path, record.hardware_id)) == 1
        if entry is not None and same_image(installed, entry) and _is_for(entry, record):
            yield ecu, entry, at_top


def _is_for(entry: ImageEntry, record: EcuRecord) -> bool:
    return entry.must_agree is not None and record.hardware_id in (entry.hardware_ids or ())


def _list(planned: PlannedTargets, images: Iterable[tuple[EcuId, ImageEntry]]) -> PlannedTargets:
    entries: dict[TargetPath, ImageEntry] = {}
    orders = []
    for ecu, entry in images:
        if entries.setdefault(entry.path, entry) == entry:  # otherwise it is listed differently for other hardware
            orders.append(_planned_image(ecu, entry))
    return PlannedTargets(plan=replace(planned.plan, orders=tuple(orders)), entries=entries)


def _planned_image(ecu: EcuId, entry: ImageEntry) -> PlannedImage:
    label: str = entry.path
    with suppress(RefusalError):
        label = read_software(entry).label
    return PlannedImage(ecu=ecu, path=entry.path, label=label, release_counter=entry.release_counter)
