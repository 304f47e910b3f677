"""The plan of what to order from a vehicle now, made from its inventory, its assignments and the Image repository.

The rules of 5.3.2.1 step 5 that are not about picking versions (``resolver.py`` does that): nothing before the first
manifest, every image checked, no further order while an earlier one may still be installing, and no order that involves an
ECU whose software is unknown. No database; the only input from outside is the listing.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

from twinlock.director.errors.operator import NoSuchEcuError
from twinlock.director.errors.vehicles import HostedImageError, NoImageSetError, UnknownImageError
from twinlock.director.model.clients import ImageListing
from twinlock.director.model.plan import PlanInputs, PlannedTargets
from twinlock.director.model.records import (
    HELD,
    IMPOSSIBLE,
    NOTHING,
    ORDERED,
    WAITING,
    EcuRecord,
    Plan,
    PlannedImage,
)
from twinlock.director.model.software import Software, fingerprint, read_software, same_image
from twinlock.director.planning.holding import possible_components, why_held, why_unknown
from twinlock.director.planning.problem import EcuChoices, ImageSetProblem, Selection, relevant_components, violations
from twinlock.director.planning.resolver import resolve
from twinlock.repository.authoring.entries import hosted_at
from twinlock.trust.checks.image import check_entry
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import CustomFieldError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.target_format import FILE, target_format
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import IMAGE, EcuId, TargetPath


def make_plan(
    inputs: PlanInputs,
    listing: ImageListing | None,
    *,
    images: PlannedTargets | None = None,
    explained: bool = True,
) -> PlannedTargets:
    """Decide what to order from the vehicle. An obstacle becomes an outcome with reasons, not an error.

    ``listing`` may be None where nothing is assigned: that takes no look at the Image repository. ``images`` is what
    ``plan_images`` found for these inputs, with the software of every ECU known, where that was asked already.
    ``explained``: see ``resolve``.
    Raises: TransportError, StorageError where the Image repository cannot be read.
    """
    vehicle = inputs.record.vehicle
    if not inputs.assigned or listing is None:
        return _nothing(inputs, NOTHING, "nothing is assigned")
    if inputs.manifest is None:
        return _nothing(inputs, WAITING, f"{vehicle} has not reported yet, so what it needs is not known")
    try:
        if images is None or inputs.unknown:
            images = plan_around_unknown(inputs, listing, explained=explained)
    except NoImageSetError as error:
        return _nothing(inputs, IMPOSSIBLE, *error.causes)
    except RefusalError as error:
        return _nothing(inputs, IMPOSSIBLE, str(error))
    return _hold_back(inputs, images)


def plan_around_unknown(inputs: PlanInputs, listing: ImageListing, *, explained: bool = True) -> PlannedTargets:
    """The plan for the ECUs whose software is known; orders that involve any other ECU are held, with the reasons.

    Raises: as ``plan_images``.
    """
    if not inputs.unknown:
        return plan_images(inputs, listing, explained=explained)
    possible = {ecu: possible_components(inputs, ecu, listing) for ecu in inputs.unknown}
    assigned, reasons = dict(inputs.assigned), []
    for ecu in sorted(inputs.assigned):
        entry = None if ecu in inputs.unknown else _assigned(inputs, inputs.record.ecus[ecu], assigned[ecu], listing)
        reason = why_unknown(inputs, ecu) if entry is None else why_held(inputs, read_software(entry), possible)
        if reason is not None:
            reasons.append(f"{assigned.pop(ecu)} for {ecu} is held: {reason}")
    planned = plan_images(replace(inputs, assigned=assigned), listing, explained=explained)
    for order in planned.plan.orders:
        reason = why_held(inputs, read_software(planned.entries[order.path]), possible) if order.moved else None
        if reason is not None:  # a dependency moved it, so whatever asks for it is held too
            return _nothing(inputs, HELD, *reasons, f"{order.path} for {order.ecu} is held: {reason}")
    if not reasons:
        return planned
    plan = replace(planned.plan, outcome=HELD, reasons=(*reasons, *planned.plan.reasons))
    return PlannedTargets(plan=plan, entries=planned.entries)


def plan_images(inputs: PlanInputs, listing: ImageListing, *, explained: bool = True) -> PlannedTargets:
    """The images that the vehicle should have by its assignments, whatever is outstanding. ``explained``: see ``resolve``.

    Raises: NoSuchEcuError, UnknownImageError, NoImageSetError, HardwareError, ReleaseCounterError, CustomFieldError,
    TargetFormatError, UnsupportedFormatError, HostedImageError, MalformedError, LimitError, any refusal of the Image repository's metadata, TransportError, StorageError.
    """
    record = inputs.record
    for ecu in inputs.assigned:
        if ecu not in record.ecus:
            raise NoSuchEcuError(ecus=(ecu,), vehicle=record.vehicle)
    offers = _all_offers(inputs, listing)
    installed = {ecu: _installed(inputs, ecu, offers[ecu]) for ecu in record.ecus}
    problem = ImageSetProblem(
        vehicle=record.vehicle,
        ecus=tuple(
            EcuChoices(
                ecu=ecu,
                hardware_id=record.ecus[ecu].hardware_id,
                installed=installed[ecu],
                offered=tuple(offers[ecu]),
                assigned=inputs.assigned.get(ecu),
            )
            for ecu in record.ecus
        ),
    )
    planned = _planned(inputs, problem, resolve(problem, explained=explained), offers)
    obstacles = inputs.client.obstacles(inputs, planned, listing)
    if obstacles:
        raise NoImageSetError(vehicle=record.vehicle, causes=obstacles)
    return inputs.client.with_notes(inputs, planned, listing)


Offers = Mapping[Software, ImageEntry]


def _all_offers(inputs: PlanInputs, listing: ImageListing) -> dict[EcuId, Offers]:
    """The images that the repository lists for each ECU: the assigned one, or, for a free ECU, all that may matter."""
    ecus = inputs.record.ecus
    offers: dict[EcuId, Offers] = {}
    for ecu, path in inputs.assigned.items():
        entry = _assigned(inputs, ecus[ecu], path, listing)
        offers[ecu] = {_readable(inputs, entry): entry}
    free = {ecu: record for ecu, record in ecus.items() if ecu not in offers}
    present = [software for choices in offers.values() for software in choices]
    present += [software for ecu in free if (software := _remembered(inputs, ecu)) is not None]
    components = relevant_components(present, listing.mentions(record.hardware_id for record in ecus.values()))
    for ecu, record in free.items():
        # What an ECU of unknown software would be moved from is not known, so it is not moved.
        offers[ecu] = {} if ecu in inputs.unknown else _offers(inputs, record, listing, components)
    return offers


def _offers(
    inputs: PlanInputs, record: EcuRecord, listing: ImageListing, components: Container[str | None] | None
) -> Offers:
    offers = {}
    kept = _installed_format(inputs, record)
    for entry in listing.offers(record.hardware_id, components):
        if target_format(entry) != kept:
            continue  # it was not asked for, and whether this client can change over is not known
        try:
            _check(inputs, record, entry, None)
        except RefusalError:
            continue  # incomplete, or of a format that it does not install: not a choice. The resolver judges what is older than installed
        software = read_software(entry)
        if not software.unreadable:
            offers[software] = entry
    return offers


def _installed_format(inputs: PlanInputs, record: EcuRecord) -> str:
    """The format of what an ECU runs, which nothing but an assignment changes."""
    installed = inputs.installed_on(record.ecu)
    if installed is None or installed.length or inputs.client.reports_no_image(installed):
        return FILE
    return inputs.client.format_without_length()


def _readable(inputs: PlanInputs, entry: ImageEntry) -> Software:
    """``entry`` as software to be ordered: what it needs has to be known. Raises: NoImageSetError."""
    software = read_software(entry)
    if software.unreadable:
        cause = (
            f"the {' and '.join(software.unreadable)} of {entry.path} cannot be read; list the same file again with "
            "`twinlock image add --replace` and --component, --version, --needs or --conflicts"
        )
        raise NoImageSetError(vehicle=inputs.record.vehicle, causes=(cause,))
    return software


def _assigned(inputs: PlanInputs, record: EcuRecord, path: TargetPath, listing: ImageListing) -> ImageEntry:
    entry = listing.find(path, record.hardware_id)
    if entry is None:
        raise UnknownImageError(ecu=record.ecu, target=path)
    _check(inputs, record, entry, inputs.installed_on(record.ecu))
    return entry


def _check(inputs: PlanInputs, record: EcuRecord, entry: ImageEntry, installed: InstalledImage | None) -> None:
    """What the ECU itself would check of the entry, and whether it could fetch it. Source: Uptane 2.1.0 5.4.3.4 steps 3 to 5."""
    if entry.must_agree is None:
        raise CustomFieldError(target=entry.path, repository=IMAGE, field="mustAgree")
    check_entry(entry, inputs.record.judged(record.ecu, inputs.client.formats), installed)
    uri = hosted_at(entry.custom)
    if uri is not None and not inputs.client.reads_addresses:
        raise HostedImageError(ecu=record.ecu, target=entry.path, uri=uri)


def _installed(inputs: PlanInputs, ecu: EcuId, offers: Offers) -> Software | None:
    """What an ECU runs, as software: by what is listed now, or by what the Director remembers of it."""
    installed = inputs.installed_on(ecu)
    if installed is None:
        return None
    for software, entry in offers.items():
        if same_image(installed, entry):
            return software
    return _remembered(inputs, ecu) or Software(
        image=fingerprint(installed.path, installed.length, installed.hashes),
        path=installed.path,
        release_counter=installed.release_counter,
    )


def _remembered(inputs: PlanInputs, ecu: EcuId) -> Software | None:
    known, installed = inputs.known.get(ecu), inputs.installed_on(ecu)
    if known is None or installed is None or not same_image(installed, known):
        return None
    return replace(read_software(known), release_counter=installed.release_counter)


def _planned(
    inputs: PlanInputs, problem: ImageSetProblem, selection: Selection, offers: Mapping[EcuId, Offers]
) -> PlannedTargets:
    orders: list[PlannedImage] = []
    entries: dict[TargetPath, ImageEntry] = {}
    reasons: list[str] = []
    for ecu, image in selection.items():
        choices = problem.by_id[ecu]
        if image is None or (choices.assigned is None and image == choices.installed):
            continue
        entry = offers[ecu][image]
        if entries.setdefault(entry.path, entry) != entry:
            cause = f"{entry.path} is listed differently for different hardware, so one list cannot order both"
            raise NoImageSetError(vehicle=problem.vehicle, causes=(cause,))
        orders.append(_planned_image(ecu, image, moved=choices.assigned is None))
        if choices.assigned is None:
            reasons.append(f"{ecu} gets {image.label} because {_asker(selection, ecu)} asks for it")
    reasons += _unread(selection)
    pending = [order for order in orders if not _has(inputs, order, entries)]
    if not pending:
        reasons.append("everything that is assigned is installed")
    plan = Plan(
        vehicle=inputs.record.vehicle,
        outcome=ORDERED if pending else NOTHING,
        orders=tuple(orders),
        reasons=tuple(reasons),
    )
    return PlannedTargets(plan=plan, entries=entries)


def _unread(selection: Selection) -> Iterator[str]:
    """The images that stay and whose needs cannot be read: a warning, since holding them would lock the vehicle."""
    for ecu, image in selection.items():
        if image is not None and image.unreadable:
            yield f"{ecu} runs {image.label}, whose {' and '.join(image.unreadable)} cannot be read and do not count"


def _planned_image(ecu: EcuId, image: Software, *, moved: bool) -> PlannedImage:
    return PlannedImage(ecu=ecu, path=image.path, label=image.label, release_counter=image.release_counter, moved=moved)


def _asker(selection: Selection, ecu: EcuId) -> str:
    """Whose dependency or conflict moved an ECU, as far as one image by itself shows."""
    moved = selection[ecu]
    for image in selection.values():
        if image is None or image == moved or moved is None:
            continue
        terms = (*image.dependencies, *image.conflicts, *moved.dependencies, *moved.conflicts)
        if any(component in (moved.component, image.component) for component, _ in terms):
            return image.label
    return "another image"


def _has(inputs: PlanInputs, order: PlannedImage, entries: Mapping[TargetPath, ImageEntry]) -> bool:
    installed = inputs.installed_on(order.ecu)
    return installed is not None and same_image(installed, entries[order.path])


def _hold_back(inputs: PlanInputs, planned: PlannedTargets) -> PlannedTargets:
    """Order nothing new while an earlier order is unconfirmed; keep what was ordered already and is still wanted.

    Source: Deployment Best Practices (send no further bundle that could clash with what may be installing until a
    manifest confirms the previous one).
    """
    images = planned.images
    new = {ecu for ecu, image in images.items() if inputs.ordered.get(ecu) != image}
    # What an ECU of unknown software may be installing holds only the orders that involve that ECU.
    if not any(item.ecu not in inputs.unknown for item in inputs.outstanding) or not new:
        return planned
    kept = tuple(order for order in planned.plan.orders if order.ecu not in new)
    if not _is_consistent(inputs, kept, planned):
        kept = ()
    plan = replace(planned.plan, outcome=HELD, orders=kept, reasons=tuple(_why_held(inputs)))
    paths = {order.path for order in kept}
    return PlannedTargets(plan=plan, entries={path: entry for path, entry in planned.entries.items() if path in paths})


def _why_held(inputs: PlanInputs) -> Iterator[str]:
    for item in inputs.outstanding:
        if item.ecu in inputs.unknown:
            continue
        what = "was withdrawn but may be installing" if item.withdrawn else "was ordered"
        yield f"{item.path} {what} on {item.ecu}; the next order waits for a manifest that reports its outcome"


def _is_consistent(inputs: PlanInputs, orders: tuple[PlannedImage, ...], planned: PlannedTargets) -> bool:
    selection: dict[EcuId, Software | None] = {}
    for ecu in inputs.record.ecus:
        selection[ecu] = _remembered(inputs, ecu)
    for order in orders:
        selection[order.ecu] = read_software(planned.entries[order.path])
    return not any(violations(selection))


def _nothing(inputs: PlanInputs, outcome: str, *reasons: str) -> PlannedTargets:
    return PlannedTargets(plan=Plan(vehicle=inputs.record.vehicle, outcome=outcome, orders=(), reasons=reasons))
