"""The kinds of keys that aktualizr reads, and the refusal of others before they are made."""

from __future__ import annotations

from collections.abc import Mapping

from twinlock.repository.keys.keyring import KeyPlan
from twinlock.repository.keys.private_keys import KeyKind
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.names import ROOT
from twinlock.trust.wire.aktualizr import form

READABLE_KINDS = frozenset({KeyKind.ED25519, KeyKind.RSA_PSS})


def check_plans(plans: Mapping[str, KeyPlan], *, shared_root: bool = False) -> None:
    """Refuse kinds of keys that clients could not read, before such keys are made.

    Root keys may be of any kind, since the profile has its own, unless that chain shares them. Raises: ProfileError.
    """
    for role, plan in plans.items():
        if role == ROOT and not shared_root:
            continue
        unreadable = [kind.value for kind in plan.kinds if kind not in READABLE_KINDS]
        if unreadable:
            readable = " and ".join(sorted(kind.value for kind in READABLE_KINDS))
            reason = f"a key of kind {unreadable[0]} makes the whole file unreadable to them; {readable} can be read"
            raise ProfileError(profile=form.NAME, what=role, reason=reason)
