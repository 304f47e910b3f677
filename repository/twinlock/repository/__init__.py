"""The Image repository: keys, authoring, publication, storage and serving.

Start at ``ImageRepository``, which everything else here is behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinlock.trust.lazy import lazy_exports

if TYPE_CHECKING:
    from twinlock.repository.authoring.delegations import AuthoredDelegation, Member
    from twinlock.repository.authoring.entries import Component
    from twinlock.repository.authoring.image_requests import ImageRequest
    from twinlock.repository.errors import (
        ClockBehindError,
        ClockContradictedError,
        FutureSignatureError,
        ImageUriError,
        MissingKeysError,
        MissingPostQuantumKeyError,
        NotDelegatedError,
        NothingToRecoverError,
        NotReadyError,
        OldPassphraseError,
        OstreeCommitError,
        OtherRepositoryError,
        OutboxImageError,
        RoleTakenError,
        RootCancelledError,
        RootCompleteError,
        RootPreparedError,
        SigningClockError,
        StoredImageError,
        StoreTamperedError,
        UnacceptableEntryError,
        VersionJumpError,
    )
    from twinlock.repository.image_repository import ImageRepository
    from twinlock.repository.keys.keyring import KeyPlan, Passphrase
    from twinlock.repository.model.views import ImageView, PublishResult, RepositoryView, RootView, StatusView
    from twinlock.repository.publishing.root_ceremony import RootChanges
    from twinlock.repository.serving.aktualizr_app import aktualizr_image_application
    from twinlock.repository.serving.app import image_application
    from twinlock.repository.suppliers.workspace import SupplierWorkspace
    from twinlock.repository.workspace.validity import Periods
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "authoring.delegations": ("AuthoredDelegation", "Member"),
            "authoring.entries": ("Component",),
            "authoring.image_requests": ("ImageRequest",),
            "errors": (
                "ClockBehindError",
                "ClockContradictedError",
                "FutureSignatureError",
                "ImageUriError",
                "MissingKeysError",
                "MissingPostQuantumKeyError",
                "OldPassphraseError",
                "OtherRepositoryError",
                "NotDelegatedError",
                "NotReadyError",
                "NothingToRecoverError",
                "OstreeCommitError",
                "OutboxImageError",
                "RoleTakenError",
                "RootCancelledError",
                "RootCompleteError",
                "RootPreparedError",
                "SigningClockError",
                "StoredImageError",
                "StoreTamperedError",
                "UnacceptableEntryError",
                "VersionJumpError",
            ),
            "image_repository": ("ImageRepository",),
            "keys.keyring": ("KeyPlan", "Passphrase"),
            "model.views": ("ImageView", "PublishResult", "RepositoryView", "RootView", "StatusView"),
            "publishing.root_ceremony": ("RootChanges",),
            "serving.aktualizr_app": ("aktualizr_image_application",),
            "serving.app": ("image_application",),
            "suppliers.workspace": ("SupplierWorkspace",),
            "workspace.validity": ("Periods",),
        },
    )

__all__ = [
    "AuthoredDelegation",
    "ClockBehindError",
    "ClockContradictedError",
    "Component",
    "FutureSignatureError",
    "ImageRepository",
    "ImageRequest",
    "ImageUriError",
    "ImageView",
    "KeyPlan",
    "Member",
    "MissingKeysError",
    "MissingPostQuantumKeyError",
    "NotDelegatedError",
    "NotReadyError",
    "NothingToRecoverError",
    "OldPassphraseError",
    "OstreeCommitError",
    "OtherRepositoryError",
    "OutboxImageError",
    "Passphrase",
    "Periods",
    "PublishResult",
    "RepositoryView",
    "RoleTakenError",
    "RootCancelledError",
    "RootChanges",
    "RootCompleteError",
    "RootPreparedError",
    "RootView",
    "SigningClockError",
    "StatusView",
    "StoreTamperedError",
    "StoredImageError",
    "SupplierWorkspace",
    "UnacceptableEntryError",
    "VersionJumpError",
    "aktualizr_image_application",
    "image_application",
]
