"""Bytes changed on the way: images, and the metadata of every role on both repositories."""

from __future__ import annotations

import re
from collections.abc import Callable

from tuf.api.metadata import Root

from demo.forge import Forger, no_keys
from demo.script import NETWORK, Act, Attack, Play, Seen, seen_in_cycle
from demo.stage import Stage

Change = Callable[[bytes], bytes]


def flip_a_bit(data: bytes) -> bytes:
    """One bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def cut_off(data: bytes) -> bytes:
    """The first half."""
    return data[: len(data) // 2]


def valid_for_ever(data: bytes) -> bytes:
    """Metadata that expires much later than it was signed to; its length stays the same."""
    return re.sub(rb'("expires": ?")[0-9]{4}', rb"\g<1>2099", data)


def on_the_way(repository: str, pattern: str, change: Change) -> Play:
    """Change what passes by, and let the vehicle run a cycle."""

    async def play(stage: Stage) -> Seen | None:
        stage.proxy.alter(repository, pattern, change)
        return seen_in_cycle(await stage.cycle())

    return play


def forged_root(repository: str) -> Play:
    """Offer a next Root that puts the attacker's own key in charge."""

    async def play(stage: Stage) -> Seen | None:
        forger = await Forger.take(stage.proxy, repository, no_keys())

        def take_over(root: Root) -> None:
            for role in list(root.roles):
                root.add_key(forger.own_key.public_key, role)

        forger.edit_root(take_over)
        stage.proxy.answer_all(repository, forger.files())
        return seen_in_cycle(await stage.cycle())

    return play


def _metadata(repository: str, role: str, code: str) -> Attack:
    return Attack(
        title=f"tampered {role}, {repository}",
        story=f"The {role} file of the {repository} repository is changed on the way, to stay valid for ever.",
        attacker=NETWORK,
        play=on_the_way(repository, f"metadata/*{role}.json", valid_for_ever),
        code=code,
    )


def _root(repository: str) -> Attack:
    return Attack(
        title=f"forged root, {repository}",
        story=f"A new list of keys for the {repository} repository appears, with the attacker's key in it.",
        attacker=NETWORK,
        play=forged_root(repository),
        code="threshold",
    )


_CODES = {"timestamp": "threshold", "snapshot": "mix-and-match", "targets": "mix-and-match"}

TAMPERING = Act(
    title="Somebody on the line changes what passes by",
    story="The attacker controls the network, and nothing else: he can change every byte, but he cannot sign.",
    attacks=(
        Attack(
            title="tampered image",
            story="One bit of the firmware is flipped on its way to the vehicle.",
            attacker=NETWORK,
            play=on_the_way("image", "targets/*", flip_a_bit),
            code="wrong-digest",
        ),
        Attack(
            title="truncated image",
            story="The firmware breaks off half-way.",
            attacker=NETWORK,
            play=on_the_way("image", "targets/*", cut_off),
            code="wrong-length",
        ),
        *(
            attack
            for repository in ("director", "image")
            for attack in (_root(repository), *(_metadata(repository, role, code) for role, code in _CODES.items()))
        ),
        Attack(
            title="tampered supplier's list",
            story="The list of images that the supplier acme signed is changed on the way.",
            attacker=NETWORK,
            play=on_the_way("image", "metadata/*.acme.json", valid_for_ever),
            code="mix-and-match",
            pending="lidar",
        ),
    ),
)
