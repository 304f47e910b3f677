"""Which orders involve an ECU whose software is unknown: it may run anything that its hardware could be given.

An order involves such an ECU if its image needs or conflicts with a component that may run there, or if something that may
run there needs or conflicts with the image's own component. Versions are not looked at: what is unknown has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinlock.director.model.clients import ImageListing
from twinlock.director.model.plan import PlanInputs
from twinlock.director.model.software import Software, mentioned, read_software
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.names import EcuId
from twinlock.trust.text.times import format_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Possible:
    """The components that may run on an ECU, and those that any of them needs or conflicts with."""

    components: frozenset[str]
    mentions: frozenset[str]


def possible_components(inputs: PlanInputs, ecu: EcuId, listing: ImageListing) -> Possible:
    """What may run on ``ecu``: what it last reported, and everything that is listed for its hardware.

    Raises: TransportError, StorageError of the Image repository.
    """
    listed = listing.mentions([inputs.record.ecus[ecu].hardware_id])
    components, mentions = set(listed), {name for names in listed.values() for name in names}
    entry = inputs.known.get(ecu)
    if entry is not None:
        try:
            software = read_software(entry)
        except RefusalError:
            software = None  # it was unreadable when it was installed, too: nothing was decided by it
        if software is not None:
            components |= {software.component} - {None}  # type: ignore[arg-type]
            mentions |= mentioned(software)
    return Possible(components=frozenset(components), mentions=frozenset(mentions))


def why_held(inputs: PlanInputs, image: Software, possible: Mapping[EcuId, Possible]) -> str | None:
    """Why an order of ``image`` is held, None if it involves no ECU of unknown software."""
    for ecu, running in sorted(possible.items()):
        wanted = sorted(mentioned(image) & running.components)
        if wanted:
            return f"{image.label} needs or conflicts with {wanted[0]}, which {ecu} may run; {why_unknown(inputs, ecu)}"
        if image.component is not None and image.component in running.mentions:
            reason = f"what {ecu} may run needs or conflicts with {image.component}"
            return f"{reason}; {why_unknown(inputs, ecu)}"
    return None


def why_unknown(inputs: PlanInputs, ecu: EcuId) -> str:
    """Why the software of an ECU is unknown, and what leads out."""
    vehicle, known = inputs.record.vehicle, inputs.record.ecus[ecu]
    way_out = f"`twinlock director retire DIRECTORY {vehicle} {ecu}` removes it, `replace-ecu` replaces it"
    if known.out_of_order_since is not None:
        since = known.out_of_order_since
        return f"{ecu} was declared out of order at {format_time(since)} until it reports ({way_out})"
    if known.missing_since is None:
        return f"{ecu} has not reported yet"
    return f"{ecu} has been missing from manifests since {format_time(known.missing_since)} ({way_out})"
