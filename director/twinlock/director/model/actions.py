"""The names of the actions that the audit records: a fixed set, so that a mistyped one is noticed where it is asked for."""

from __future__ import annotations

from typing import Literal, get_args

Action = Literal[
    "add-ecu",
    "allow-certificate",
    "assign",
    "cancel-root",
    "certificate",
    "change-ecus",
    "change-key",
    "confirm-key",
    "create-device-ca",
    "declare-delivery",
    "hand-over",
    "identify",
    "init",
    "keep-stranded",
    "mark",
    "out-of-order",
    "passphrase",
    "prepare-root",
    "prune",
    "reactivate",
    "reactivate-ecu",
    "recover-clock",
    "register",
    "release-serial",
    "replace-key",
    "reset-counter",
    "retire",
    "retire-ecu",
    "revoke-certificate",
    "root",
    "token",
    "unassign",
    "wire",
]
ACTIONS: tuple[str, ...] = get_args(Action)
