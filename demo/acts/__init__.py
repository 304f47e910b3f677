"""The acts of the play after the honest update, one file for each family of attacks, in the order they are played."""

from __future__ import annotations

from demo.acts.compromised_director import COMPROMISED_DIRECTOR
from demo.acts.compromised_gateway import COMPROMISED_GATEWAY
from demo.acts.compromised_image_repository import COMPROMISED_IMAGE_REPOSITORY
from demo.acts.freeze import FREEZE
from demo.acts.limits import LIMITS
from demo.acts.manifests import MANIFESTS
from demo.acts.mixing import MIXING
from demo.acts.recovery import RECOVERY
from demo.acts.rollback import ROLLBACK
from demo.acts.starving import STARVING
from demo.acts.tampering import TAMPERING

ACTS = (
    TAMPERING,
    MIXING,
    STARVING,
    ROLLBACK,
    COMPROMISED_DIRECTOR,
    COMPROMISED_IMAGE_REPOSITORY,
    COMPROMISED_GATEWAY,
    MANIFESTS,
    FREEZE,
    RECOVERY,
    LIMITS,
)
