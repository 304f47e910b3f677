"""The shape of what each command writes with ``--json``: the one place from which ``docs/schemas`` is made.

``SHAPES`` names a command by its words. A command that keeps running writes events, one object on a line; each of its
shapes is one event. The published schemas leave room for members of later versions; the tests do not.
"""

from __future__ import annotations

from typing import Any

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
TIME: Shape = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"}
COUNT: Shape = {"type": "integer", "minimum": 0}
FLAG: Shape = {"type": "boolean"}
ANY: Shape = {}


def record(**members: Shape) -> Shape:
    """An object with these members; ``name_`` may be absent."""
    names = {name.removesuffix("_"): shape for name, shape in members.items()}
    required = [name for name in members if not name.endswith("_")]
    return {"type": "object", "properties": names, "required": required}


def listed(item: Shape) -> Shape:
    """An array of ``item``."""
    return {"type": "array", "items": item}


def mapped(item: Shape) -> Shape:
    """An object whose names are data, such as ids, with ``item`` for each."""
    return {"type": "object", "additionalProperties": item}


def maybe(shape: Shape) -> Shape:
    """``shape`` or null."""
    return {"anyOf": [shape, {"type": "null"}]}


def one_of(*shapes: Shape) -> Shape:
    """Any of ``shapes``."""
    return {"anyOf": list(shapes)}


def join(*shapes: Shape, **more: Shape) -> Shape:
    """One object with the members of all."""
    whole = record(**more)
    for shape in shapes:
        whole["properties"] |= shape["properties"]
        whole["required"] += shape["required"]
    return whole


def constant(value: str) -> Shape:
    """This text."""
    return {"const": value}


TEXTS = listed(TEXT)
ERROR = record(
    code=TEXT, kind=TEXT, message=TEXT, fields=mapped(ANY), hint_=TEXT, attack_=TEXT, clause_=TEXT
)  # also the form of a failed command: {"error": ERROR}
KEY = record(keytype=TEXT, scheme=TEXT, keyval=record(public=TEXT))
INSTALLED = record(path=TEXT, length=COUNT, hashes=mapped(TEXT), releaseCounter=maybe(COUNT))
ECU = record(ecu=TEXT, hardwareId=TEXT, verification=TEXT, keyid=TEXT, key=KEY)
SECONDARY = join(ECU, address=TEXT)
DECLARED_ECU = join(ECU, primary=FLAG)

# The Image repository and suppliers
IMAGE = record(
    path=TEXT,
    role=TEXT,
    length=COUNT,
    hashes=mapped(TEXT),
    releaseCounter=maybe(COUNT),
    hardwareIds=TEXTS,
    component=maybe(TEXT),
    version=maybe(TEXT),
    dependencies=mapped(TEXT),
    conflicts=mapped(TEXT),
    targetFormat=TEXT,
    uri=maybe(TEXT),
)
ROLE = record(
    name=TEXT,
    version=COUNT,
    expires=TIME,
    issued=maybe(TIME),
    threshold=COUNT,
    keyids=TEXTS,
    held=COUNT,
    postQuantum=FLAG,
    lacksPostQuantum=FLAG,
)
DELEGATION = record(
    name=TEXT,
    delegator=TEXT,
    paths=TEXTS,
    threshold=COUNT,
    keyids=TEXTS,
    terminating=FLAG,
    hardwareIds=maybe(TEXTS),
)
PUBLICATION = record(
    version=COUNT, files=TEXTS, changed=FLAG, waiting=TEXTS, overdue=TEXTS, unchecked=TEXTS, preparedRoot=maybe(COUNT)
)
ROOT = record(
    version=COUNT,
    issued=maybe(TIME),
    expires=TIME,
    keys=mapped(TEXTS),
    thresholds=mapped(COUNT),
    signed=TEXTS,
    missing=COUNT,
    postQuantum=TEXTS,
    lacksPostQuantum=FLAG,
)
FINDING = record(role=TEXT, target=TEXT, code=TEXT, reason=TEXT)
FINDINGS = record(
    roots=COUNT,
    images=COUNT,
    expired=TEXTS,
    dropped=TEXTS,
    leftOut=listed(FINDING),
    warnings=listed(FINDING),
)
STAGED_IMAGE = record(staged=IMAGE)
STAGED_IMAGES = record(
    stored=FLAG,
    counts=mapped(COUNT),
    items=listed(record(source=TEXT, name=TEXT, outcome=TEXT, line_=COUNT, error_=ERROR, image_=IMAGE)),
)
STAGED_DELEGATION = record(staged=record(delegation=TEXT))
REMOVED = record(removed=TEXT)
KEYS = {
    "keys list": record(
        keys=listed(record(keyid=TEXT, role=TEXT, keytype=TEXT, scheme=TEXT, availability=TEXT, inUse=FLAG))
    ),
    "keys mark": record(keyid=TEXT, role=TEXT, availability=TEXT),
    "keys passphrase": record(changed=TEXTS),
}

# The Director
_IMAGES = listed(record(ecu=TEXT, path=TEXT, label=TEXT, releaseCounter=maybe(COUNT), moved=FLAG))
PLAN = record(vehicle=TEXT, outcome=TEXT, orders=_IMAGES, reasons=TEXTS)
DECISION = join(PLAN, number=COUNT, madeAt=TIME, correlationId=TEXT, manifest=maybe(COUNT), imageVersions=mapped(COUNT))
INSTALLATION = record(
    vehicle=TEXT,
    ecu=TEXT,
    path=TEXT,
    length=COUNT,
    hashes=mapped(TEXT),
    releaseCounter=maybe(COUNT),
    reportedAt=TIME,
    replacedAt=maybe(TIME),
    leftAt=maybe(TIME),
    counter=maybe(COUNT),
    decision=maybe(COUNT),
    actor=maybe(TEXT),
    approvedAt=maybe(TIME),
)
EVENT = record(at=TIME, kind=TEXT, code=TEXT, ecu=maybe(TEXT), detail=TEXT, data_=mapped(ANY))
KEY_CHANGE = record(
    number=COUNT,
    vehicle=TEXT,
    ecu=TEXT,
    newEcu=maybe(TEXT),
    fingerprint=TEXT,
    expires=TIME,
    actor=TEXT,
    confirmedBy=maybe(TEXT),
    applied=FLAG,
)
PENDING_KEY = record(ecu=TEXT, fingerprint=TEXT, hardwareId=TEXT, firstSeen=TIME, lastSeen=TIME, authenticated=FLAG)
STATE = record(state=TEXT, reasons=TEXTS)
REPORTED = join(INSTALLED, reportedAt=TIME, attack=TEXT, detail=TEXT)
INVENTORY_ECU = join(
    DECLARED_ECU,
    fingerprint=TEXT,
    missingSince=maybe(TIME),
    outOfOrderSince=maybe(TIME),
    installed=maybe(REPORTED),
    assigned=maybe(TEXT),
)
VEHICLE = record(
    vehicle=TEXT,
    primary=maybe(TEXT),
    registeredAt=maybe(TIME),
    lastManifestAt=maybe(TIME),
    wire=maybe(TEXT),
    identifiedBy=maybe(TEXT),
    ecus=listed(INVENTORY_ECU),
    retired=listed(record(ecu=TEXT, retiredAt=TIME)),
    events=listed(EVENT),
    refused=listed(record(at=TIME, refusal=ERROR)),
    pendingKeys=listed(PENDING_KEY),
    keyChanges=listed(KEY_CHANGE),
    state=maybe(STATE),
)
SUMMARY = join(
    STATE,
    vehicle=TEXT,
    primary=maybe(TEXT),
    ecus=COUNT,
    assignments=COUNT,
    registeredAt=TIME,
    lastManifestAt=maybe(TIME),
    wire=TEXT,
)
JUNK = record(
    vehicle=TEXT, code=TEXT, day=TEXT, count=COUNT, firstAt=TIME, lastAt=TIME, firstSample=TEXT, lastSample=TEXT
)
CERTIFICATE = record(
    kind=TEXT,
    name=TEXT,
    serial=TEXT,
    fingerprint=TEXT,
    issuedAt=TIME,
    notAfter=TIME,
    actor=TEXT,
    revokedAt=maybe(TIME),
)
MEMBERSHIP = record(added_=TEXTS, retired_=TEXTS, returned_=TEXTS, rekeyed_=TEXTS, altered_=TEXTS)
AUDIT = record(number=COUNT, at=TIME, actor=TEXT, action=TEXT, vehicle=maybe(TEXT), detail=mapped(ANY))
DEVICE_EVENT = record(id=TEXT, kind=TEXT, version=COUNT, deviceTime=TIME, receivedAt=maybe(TIME), detail=mapped(ANY))

BATCH = record(
    stored=FLAG,
    counts=mapped(COUNT),
    items=listed(
        record(
            source=TEXT,
            vehicle=maybe(TEXT),
            outcome=TEXT,
            error_=ERROR,
            change_=MEMBERSHIP,
            ecus_=COUNT,
            images_=mapped(TEXT),
            fingerprint_=TEXT,
        )
    ),
)

# Vehicles
APPROVED = join(INSTALLED, ecu=TEXT)
CYCLE = record(
    outcome=TEXT,
    now=maybe(TIME),
    approved=listed(APPROVED),
    installed=listed(APPROVED),
    verified=FLAG,
    problems=listed(record(step=TEXT, ecu=maybe(TEXT), error=ERROR)),
    notices=listed(ERROR),
    reported=FLAG,
    correlationId=maybe(TEXT),
    weaker=TEXTS,
)
EVIDENCE = record(
    id=TEXT,
    kind=TEXT,
    code=TEXT,
    attack=TEXT,
    clause=TEXT,
    detail=TEXT,
    latest=TEXT,
    step=TEXT,
    first=TIME,
    last=TIME,
    count=COUNT,
)
DECIDED = record(ecu=TEXT, path=TEXT, length=COUNT, hashes=mapped(TEXT), repositories=TEXTS, validUntil=TIME)
HISTORY = record(
    lastRefusal=maybe(record(kind=TEXT, code=TEXT, attack=TEXT, clause=TEXT, detail=TEXT, step=TEXT, time=maybe(TIME))),
    lastDecision=maybe(record(approved=listed(DECIDED), correlationId=maybe(TEXT), time=TIME, weaker=TEXTS)),
    evidence=listed(EVIDENCE),
)
LINK = record(role=TEXT, version=COUNT, issued=maybe(TIME), expires=TIME, expired=FLAG, signedBy=TEXTS, required=COUNT)
OWN_ECU = record(ecu=TEXT, hardwareId=TEXT, verification=TEXT, address=maybe(TEXT), installed=maybe(INSTALLED))
ENTRY = record(length=COUNT, hashes=mapped(TEXT), releaseCounter=maybe(COUNT), hardwareIds=TEXTS)
RECOVERED = record(
    versions=mapped(mapped(COUNT)), releaseCounter=maybe(COUNT), reportCounter=COUNT, damaged=maybe(TEXT)
)
LISTENING = record(event=constant("listening"), url=TEXT)
RENEWED = record(event=constant("renewed"), publication=COUNT)
NOT_RENEWED = record(event=constant("renewal-failed"), error=ERROR)
SITE = record(directory=TEXT, url=TEXT)
ISSUED = record(output=TEXT, fingerprint=TEXT)

_IMAGE: dict[str, Shape] = {
    "accept": record(accepted=TEXTS, removed=mapped(TEXTS)),
    "add": one_of(STAGED_IMAGE, STAGED_IMAGES),
    "add-ostree": STAGED_IMAGE,
    "delegate": STAGED_DELEGATION,
    "import": one_of(
        join(
            FINDINGS,
            imported=TEXT,
            publication=COUNT,
            versions=mapped(COUNT),
            releaseCounter=COUNT,
        ),
        join(FINDINGS, dryRun=FLAG),
    ),
    "init": record(created=TEXT, publication=COUNT, roles=listed(ROLE)),
    **KEYS,
    "publish": PUBLICATION,
    "recover-clock": record(publication=PUBLICATION, highest=TIME, left=TEXTS, short=TEXTS),
    "refresh": PUBLICATION,
    "remove": REMOVED,
    "replace": one_of(STAGED_IMAGE, STAGED_IMAGES),
    "root cancel": record(root=COUNT, destroyed=TEXTS, kept=TEXTS),
    "root publish": PUBLICATION,
    "root sign": ROOT,
    "rotate": one_of(PUBLICATION, ROOT),
    "serve": one_of(LISTENING, RENEWED, NOT_RENEWED),
    "show": record(
        publication=COUNT,
        roles=listed(ROLE),
        images=listed(IMAGE),
        delegations=listed(DELEGATION),
        wires=TEXTS,
    ),
    "status": record(
        stagedImages=TEXTS,
        stagedRemovals=TEXTS,
        stagedDelegations=TEXTS,
        stagedUndelegations=TEXTS,
        accepted=TEXTS,
        unpublishable=maybe(TEXT),
        waiting=TEXTS,
        due=listed(record(role=TEXT, expires=TIME, canSign=FLAG)),
        damaged=listed(record(path=TEXT, role=TEXT, reason=TEXT)),
        clock=record(now=TIME, source=maybe(TEXT), answered=FLAG, lastSigned=maybe(TIME), problem=maybe(TEXT)),
        preparedRoot=maybe(COUNT),
    ),
    "time-source": record(directory=TEXT, url=maybe(TEXT)),
    "undelegate": record(staged=record(undelegation=TEXT)),
    "wire": one_of(join(PUBLICATION, profile=TEXT), ROOT),
}

_SUPPLIER: dict[str, Shape] = {
    "add": one_of(STAGED_IMAGE, STAGED_IMAGES),
    "delegate": STAGED_DELEGATION,
    "init": record(created=TEXT, role=TEXT, publicKeyFile=TEXT),
    **KEYS,
    "remove": REMOVED,
    "rotate": record(role=TEXT, version=COUNT, publicKeys=TEXT),
    "show": record(
        role=TEXT,
        version=COUNT,
        expires=maybe(TIME),
        unsignedChanges=FLAG,
        threshold=COUNT,
        keyids=TEXTS,
        images=listed(IMAGE),
        delegations=listed(DELEGATION),
    ),
    "sign": record(role=TEXT, version=COUNT, outbox=TEXT),
    "wire": record(role=TEXT, profile=TEXT),
}

_ECUS = record(vehicle=TEXT, ecus=TEXTS)
_DIRECTOR: dict[str, Shape] = {
    "add-ecu": record(vehicle=TEXT, added=TEXT),
    "allow-certificate": record(vehicle=TEXT, expires=TIME),
    "assign": one_of(join(PLAN, assigned=_IMAGES), BATCH),
    "certificates": record(certificates=listed(CERTIFICATE)),
    "confirm-key": KEY_CHANGE,
    "create-device-ca": record(ca=TEXT, file=TEXT),
    "decisions": record(vehicle=TEXT, decisions=listed(DECISION)),
    "installed": record(vehicles=listed(record(vehicle=TEXT, installations=listed(INSTALLATION)))),
    "declare-delivery": record(vehicles=COUNT),
    "device-events": record(vehicle=TEXT, events=listed(DEVICE_EVENT)),
    "enter-aktualizr": one_of(record(vehicle=TEXT, new=FLAG, change=MEMBERSHIP), BATCH),
    "explain": PLAN,
    "init": record(created=TEXT, image=TEXT, warnings=TEXTS),
    "issue-device": one_of(join(ISSUED, vehicle=TEXT), BATCH),
    "issue-provisioning": join(ISSUED, url=TEXT),
    "issue-server": join(ISSUED, hosts=TEXTS),
    **KEYS,
    "out-of-order": record(vehicle=TEXT, outOfOrder=TEXTS),
    "prune": record(deleted=mapped(COUNT)),
    "reactivate": _ECUS,
    "recover-clock": record(highest=TIME, vehicles=TEXTS, rootNeeded=FLAG),
    "refresh": record(
        image=mapped(COUNT),
        root=maybe(COUNT),
        vehicles=mapped(record(targets=COUNT, timestamp=COUNT, expires=TIME)),
    ),
    "register": one_of(record(vehicle=TEXT, new=FLAG, ecus=COUNT), BATCH),
    "rekey": KEY_CHANGE,
    "release": {
        **record(ecu=TEXT, to=maybe(TEXT)),
        "properties": {"ecu": TEXT, "from": maybe(TEXT), "to": maybe(TEXT)},
        "required": ["ecu", "from", "to"],
    },
    "replace-ecu": KEY_CHANGE,
    "reset-counter": record(vehicle=TEXT, resets=listed(record(ecu=TEXT, expires=TIME))),
    "retire": join(_ECUS, released=FLAG),
    "revoke-certificate": record(revoked=TEXTS),
    "root cancel": record(root=COUNT, destroyed=TEXTS, kept=TEXTS),
    "root publish": record(root=COUNT, changed=FLAG),
    "root roles": record(
        roles=listed(
            record(
                name=TEXT,
                threshold=COUNT,
                keyids=TEXTS,
                schemes=TEXTS,
                held=COUNT,
                postQuantum=FLAG,
                lacksPostQuantum=FLAG,
            )
        )
    ),
    "root show": record(root=TEXT, output=maybe(TEXT)),
    "root sign": ROOT,
    "rotate": one_of(record(root=COUNT, rotated=TEXTS), ROOT),
    "serve": LISTENING,
    "serve-aktualizr": LISTENING,
    "show": VEHICLE,
    "status": record(
        problems=TEXTS,
        due=TEXTS,
        counts=mapped(COUNT),
        vehicles=listed(join(STATE, vehicle=TEXT)),
        junk=listed(JUNK),
    ),
    "telemetry": record(vehicle=TEXT, telemetry=listed(record(kind=TEXT, receivedAt=TIME, value=ANY))),
    "token": record(vehicle=TEXT, token=TEXT),
    "unassign": PLAN,
    "vehicles": record(vehicles=listed(SUMMARY)),
    "wire": record(wire=TEXT, root=COUNT),
}

_PRIMARY: dict[str, Shape] = {
    "describe": record(vehicle=TEXT, primary=TEXT, ecus=listed(ECU)),
    "enrol": record(registered=FLAG, new=FLAG),
    "init": record(config=TEXT, ecu=TEXT, vehicle=TEXT, warnings=TEXTS),
    "recover": RECOVERED,
    "register": record(registered=FLAG, ecus=COUNT),
    "remove-secondary": record(removed=TEXT),
    "run": one_of(record(event=constant("started"), ecu=TEXT), join(CYCLE, event=constant("cycle"))),
    "set-secondary": record(ecu=TEXT, address=TEXT, keyid=TEXT, replaced=maybe(TEXT)),
    "show": join(HISTORY, vehicle=TEXT, primary=TEXT, ecus=listed(OWN_ECU)),
    "update": CYCLE,
}

_SECONDARY: dict[str, Shape] = {
    "describe": SECONDARY,
    "init": SECONDARY,
    "recover": RECOVERED,
    "run": record(event=constant("listening"), ecu=TEXT, url=TEXT),
    "show": join(
        HISTORY, vehicle=TEXT, ecu=TEXT, hardwareId=TEXT, verification=TEXT, listen=TEXT, installed=maybe(INSTALLED)
    ),
}

_TRUSTED: dict[str, Shape] = {
    "show": join(
        HISTORY,
        ecu=TEXT,
        vehicle=TEXT,
        repositories=listed(record(name=TEXT, roles=listed(LINK), delegated=listed(record(role=TEXT, version=COUNT)))),
        attestedTime=maybe(TIME),
        verifiedTime=maybe(TIME),
    ),
    "why": record(
        target=TEXT,
        trusted=FLAG,
        ecus=TEXTS,
        entry=maybe(ENTRY),
        chain=listed(join(LINK, repository=TEXT, lists_=FLAG)),
        refusal=maybe(ERROR),
    ),
}

_GROUPS = {
    "image": _IMAGE,
    "supplier": _SUPPLIER,
    "director": _DIRECTOR,
    "primary": _PRIMARY,
    "secondary": _SECONDARY,
    "trusted": _TRUSTED,
    "audit": {"show": record(audit=listed(AUDIT))},
}
SHAPES: dict[str, Shape] = {
    **{f"{group} {name}": shape for group, commands in _GROUPS.items() for name, shape in commands.items()},
    "completion": record(shell=TEXT, script=TEXT),
    "up": one_of(
        record(event=constant("listening"), image=SITE, director=SITE),
        record(event=constant("stopped")),
        RENEWED,
        NOT_RENEWED,
    ),
}
