"""What runs in the vehicle: Primary, Secondary, trusted state, fetching, staging, installing.

``twinlock.trust`` makes every decision about metadata; the client moves and stores bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinlock.trust.lazy import lazy_exports

if TYPE_CHECKING:
    from twinlock.client.ecu.config import PrimaryConfig, SecondaryConfig, load_primary, load_secondary
    from twinlock.client.ecu.provision import EcuPlan, KnownRepositories, provision_primary, provision_secondary
    from twinlock.client.install.installer import Installer, Precondition
    from twinlock.client.link.protocol import SecondaryLink
    from twinlock.client.model.errors import (
        AnchorMismatchError,
        ApprovalExpiredError,
        BegunUnlistedError,
        BundleHeldError,
        ConfigurationError,
        EnrolmentRefusedError,
        InstallerError,
        LinkError,
        ListenError,
        ManifestRefusedError,
        NeverServedError,
        NothingVerifiedError,
        NotOrderedError,
        OutOfTurnError,
        PartyError,
        PreconditionError,
        RegistrationMethodError,
        SecondaryBusyError,
        SecondaryDescriptionError,
        SecondaryRefusedError,
        SecondaryTimeoutError,
        ServerUrlError,
        SoftwareFaultError,
    )
    from twinlock.client.model.results import CycleResult, Installation, Outcome, Problem, Step
    from twinlock.client.primary.primary import Primary
    from twinlock.client.secondary.secondary import Secondary
    from twinlock.client.secondary.server import secondary_application, start_secondary
    from twinlock.client.storage.bundle import Bundle
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "ecu.config": ("PrimaryConfig", "SecondaryConfig", "load_primary", "load_secondary"),
            "ecu.provision": ("EcuPlan", "KnownRepositories", "provision_primary", "provision_secondary"),
            "model.errors": (
                "AnchorMismatchError",
                "ApprovalExpiredError",
                "BegunUnlistedError",
                "BundleHeldError",
                "ConfigurationError",
                "EnrolmentRefusedError",
                "InstallerError",
                "LinkError",
                "ListenError",
                "ManifestRefusedError",
                "NeverServedError",
                "NotOrderedError",
                "NothingVerifiedError",
                "OutOfTurnError",
                "PartyError",
                "PreconditionError",
                "RegistrationMethodError",
                "SecondaryBusyError",
                "SecondaryDescriptionError",
                "SecondaryRefusedError",
                "SecondaryTimeoutError",
                "ServerUrlError",
                "SoftwareFaultError",
            ),
            "install.installer": ("Installer", "Precondition"),
            "link.protocol": ("SecondaryLink",),
            "model.results": ("CycleResult", "Installation", "Outcome", "Problem", "Step"),
            "primary.primary": ("Primary",),
            "secondary.secondary": ("Secondary",),
            "secondary.server": ("secondary_application", "start_secondary"),
            "storage.bundle": ("Bundle",),
        },
    )

__all__ = [
    "AnchorMismatchError",
    "ApprovalExpiredError",
    "BegunUnlistedError",
    "Bundle",
    "BundleHeldError",
    "ConfigurationError",
    "CycleResult",
    "EcuPlan",
    "EnrolmentRefusedError",
    "Installation",
    "Installer",
    "InstallerError",
    "KnownRepositories",
    "LinkError",
    "ListenError",
    "ManifestRefusedError",
    "NeverServedError",
    "NotOrderedError",
    "NothingVerifiedError",
    "OutOfTurnError",
    "Outcome",
    "PartyError",
    "Precondition",
    "PreconditionError",
    "Primary",
    "PrimaryConfig",
    "Problem",
    "RegistrationMethodError",
    "Secondary",
    "SecondaryBusyError",
    "SecondaryConfig",
    "SecondaryDescriptionError",
    "SecondaryLink",
    "SecondaryRefusedError",
    "SecondaryTimeoutError",
    "ServerUrlError",
    "SoftwareFaultError",
    "Step",
    "load_primary",
    "load_secondary",
    "provision_primary",
    "provision_secondary",
    "secondary_application",
    "start_secondary",
]
