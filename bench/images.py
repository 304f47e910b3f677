"""Checking an image while it streams by, against hashing the same bytes with nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bench.measure import Result, compare
from twinlock.trust.checks.image import ImageVerifier
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import target_path

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = bytes(range(256)) * 256
CHUNKS = 256
ALGORITHMS = ("sha256", "sha512")


def results() -> Iterator[Result]:
    """A 16 MiB image with two hashes, in chunks of 64 KiB."""
    entry = ImageEntry(path=target_path("bench.bin"), length=len(CHUNK) * CHUNKS, hashes=digests())

    def ours() -> None:
        verifier = ImageVerifier(entry)
        for _ in range(CHUNKS):
            verifier.update(CHUNK)
        verifier.finish()

    yield compare("image of 16 MiB, SHA-256 and SHA-512", ours, digests, runs=3)


def digests() -> dict[str, str]:
    """The floor: both hashes of the same bytes."""
    hashes = {algorithm: hashlib.new(algorithm) for algorithm in ALGORITHMS}
    for _ in range(CHUNKS):
        for digest in hashes.values():
            digest.update(CHUNK)
    return {algorithm: digest.hexdigest() for algorithm, digest in hashes.items()}
