"""The Director: inventory, report intake, planning, per-vehicle signing and serving.

Start at ``Director``, which everything else here is behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinlock.trust.lazy import lazy_exports

if TYPE_CHECKING:
    from twinlock.director.api.aktualizr_api import aktualizr_application
    from twinlock.director.api.device_api import director_application
    from twinlock.director.config import Settings
    from twinlock.director.director import Director
    from twinlock.director.errors import (
        DailyLimitError,
        DescriptionError,
        DeviceIdentityError,
        DeviceTakenError,
        EcuKeyChangedError,
        EcuTakenError,
        EnrolmentTokenError,
        HostedImageError,
        ManifestVehicleError,
        NoImageSetError,
        RegistrationError,
        RetiredVehicleError,
        SecondPersonError,
        UnknownImageError,
        UnknownVehicleError,
        VehicleIdError,
        WireDisabledError,
    )
    from twinlock.director.model.records import Assignment, Issue, Plan, VehicleRecord, VehicleSummary
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "api.aktualizr_api": ("aktualizr_application",),
            "api.device_api": ("director_application",),
            "config": ("Settings",),
            "director": ("Director",),
            "errors": (
                "DailyLimitError",
                "DescriptionError",
                "DeviceIdentityError",
                "DeviceTakenError",
                "EcuKeyChangedError",
                "EcuTakenError",
                "EnrolmentTokenError",
                "HostedImageError",
                "ManifestVehicleError",
                "NoImageSetError",
                "RegistrationError",
                "RetiredVehicleError",
                "SecondPersonError",
                "UnknownImageError",
                "UnknownVehicleError",
                "VehicleIdError",
                "WireDisabledError",
            ),
            "model.records": ("Assignment", "Issue", "Plan", "VehicleRecord", "VehicleSummary"),
        },
    )

__all__ = [
    "Assignment",
    "DailyLimitError",
    "DescriptionError",
    "DeviceIdentityError",
    "DeviceTakenError",
    "Director",
    "EcuKeyChangedError",
    "EcuTakenError",
    "EnrolmentTokenError",
    "HostedImageError",
    "Issue",
    "ManifestVehicleError",
    "NoImageSetError",
    "Plan",
    "RegistrationError",
    "RetiredVehicleError",
    "SecondPersonError",
    "Settings",
    "UnknownImageError",
    "UnknownVehicleError",
    "VehicleIdError",
    "VehicleRecord",
    "VehicleSummary",
    "WireDisabledError",
    "aktualizr_application",
    "director_application",
]
