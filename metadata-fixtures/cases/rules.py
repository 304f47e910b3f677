"""Whose rule a vector tests: TUF's, Uptane's, or a decision of ours that nobody else has to share.

The mark follows from the code of the refusal, or from the way of verifying where a case is accepted. ``EXCEPTIONS`` are the
stories in which that code stands for something else; each says why. Belongs here: that table. Does not belong here:
what a case expects.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

TUF, UPTANE, OURS = "tuf", "uptane", "ours"

CODES: Final = {
    "consistent-snapshot": UPTANE,  # 5.2.7 makes versions in file names mandatory; TUF alone does not
    "director-delegates": UPTANE,
    "duplicate-ecu": UPTANE,
    "equivocation": OURS,  # other content under one version is nobody's rule
    "expired": TUF,
    "image-not-found": UPTANE,
    "limit": OURS,
    "malformed": OURS,  # how strictly a reader reads; what TUF demands of its format is among the exceptions
    "missing-field": OURS,  # the strict policy
    "missing-metadata": TUF,
    "mix-and-match": TUF,
    "other-chain": OURS,
    "other-vehicle": UPTANE,
    "post-quantum": OURS,
    "release-counter": UPTANE,
    "repository-mismatch": UPTANE,
    "role-removed": TUF,
    "rollback": TUF,
    "root-version": TUF,
    "threshold": TUF,
    "unknown-ecu": UPTANE,
    "target-format": OURS,  # the form of OSTree commits is aktualizr's
    "unlisted-role": TUF,
    "unsafe-path": OURS,
    "unsupported-spec": TUF,
    "unsupported-target-format": OURS,
    "wrong-hardware": UPTANE,
    # of manifests
    "duplicate-report": UPTANE,
    "missing-ecu": UPTANE,
    "report-replay": UPTANE,
    "report-signature": UPTANE,
    "report-time": UPTANE,
}

ACCEPTED: Final = {
    "full": UPTANE,
    "partial": UPTANE,
    "repository": TUF,
    "manifest": OURS,  # evidence, acknowledgements and resets are members of ours
}

EXCEPTIONS: Final = (
    # by name, the first that fits; what TUF's format demands of every file
    ("malformed--*json*", TUF),
    ("malformed--truncated-*", TUF),
    ("malformed--empty-file-*", TUF),
    ("malformed--wrong-type-*", TUF),
    ("malformed--floating-version-*", TUF),  # 4.3: an integer
    ("malformed--next-root-is-*", TUF),
    ("malformed--order-*", TUF),  # 4.5: length and hashes
    ("partial--wrong-type", TUF),
    ("rollback--version-zero-*", TUF),  # 4.3: greater than 0
    ("rollback--targets-removed-from-snapshot-*", TUF),  # 4.4
    ("arbitrary-software--duplicate-signatures-*", TUF),  # one signature twice is one key
    ("delegations--both-kinds-of-path", TUF),  # 4.5: one of the two
    ("mix-and-match--timestamp-that-lists-no-hash-*", UPTANE),  # 5.2.5
    # what TUF or Uptane leave open
    ("*one-key-under-two-ids*", OURS),  # the letter of TUF 5.3.4 counts key ids
    ("weak-keys--*", OURS),
    ("agility--too-few-usable-keys-*", TUF),
    ("agility--*", OURS),
    ("post-quantum--*", OURS),
    ("equivocation--*", OURS),
    ("path-traversal--*", OURS),
    ("mix-and-match--listed-by-an-unknown-hash-only-*", OURS),
    ("rollback--everything-after-a-key-was-added-*", OURS),  # whether "rotated" means that a key left
    ("rollback--targets-after-the-snapshot-was-lost-*", OURS),  # a floor that outlives the file
    ("rollback--delegated-role-after-the-snapshot-was-lost-*", OURS),
    ("replay--*-for-nobody", OURS),  # the strict policy
    ("replay--index-of-another-vehicle-*", OURS),  # our member in Snapshot and Timestamp
    ("compromised-director--orders-another-field-outside-the-section-*", OURS),
    ("compromised-director--orders-another-must-agree-field", OURS),
    ("compromised-director--orders-by-a-digest-that-proves-nothing-*", OURS),  # which digests are strong
    # optional TAPs, in the form that docs/POUF.md gives them
    ("multi-role--*", OURS),  # TAP 3
    ("*-bin-*", OURS),  # TAP 15
    ("*bins*", OURS),
    ("*entry-in-the-wrong-bin", OURS),
    ("delegations--*restriction*", OURS),  # the place of a restriction
    ("delegations--*-no-file-can-be-named-for-*", OURS),
    ("delegations--role-name-that-is-no-file-name-*", OURS),
    # a form of our own and of one client
    ("aktualizr--*", OURS),
)


def rule_of(name: str, *, code: str | None, verification: str) -> str:
    """The mark of the case ``name``; ``code`` is that of its refusal, None where it is accepted. Raises: KeyError."""
    for pattern, rule in EXCEPTIONS:
        if fnmatchcase(name, pattern):
            return rule
    return ACCEPTED[verification] if code is None else CODES[code]
