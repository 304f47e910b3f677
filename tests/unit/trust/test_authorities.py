"""Who signs for a Targets role, and which bytes are kept of a file that an index lists."""

from __future__ import annotations

import hashlib

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.snapshot import check_snapshot
from twinlock.trust.checks.targets import Authority, check_targets, read_targets
from twinlock.trust.engine.restore import bootstrap_repository, top_level_authority
from twinlock.trust.keys.proofs import authority_digest, make_proof, read_proof
from twinlock.trust.keys.signatures import RoleKeys, prove
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import FileInfo
from twinlock.trust.names import IMAGE, TARGETS, KeyId
from twinlock.trust.policy import STRICT
from twinlock.trust.wire.tuf.metadata import TUF

KEYS = KeyPool()
CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
A, B = (KeyId(KEYS(name).keyid) for name in "ab")
PUBLIC = {KeyId(KEYS(name).keyid): KEYS(name).public_key for name in "ab"}
AUTHORITY = Authority(TARGETS, PUBLIC, RoleKeys((A, B), 2))


@pytest.fixture
def image() -> RepositorySimulator:
    """A repository with everything at version 1."""
    return RepositorySimulator("image", KEYS, lambda: START)


@pytest.mark.parametrize(
    "other",
    [
        RoleKeys((A, B), 2, post_quantum=True),
        RoleKeys((A, B), 1),
        RoleKeys((B, A), 2),
        RoleKeys((A,), 2),
    ],
)
def test_another_demand_is_another_authority(other: RoleKeys) -> None:
    assert AUTHORITY._replace(signers=other).digest != AUTHORITY.digest
    assert AUTHORITY.digest == authority_digest((A, B), 2, PUBLIC)


def noted(image: RepositorySimulator, role: str) -> tuple[bytes, FileInfo]:
    """The file of ``role`` with a member that nobody signed, and how an index lists it whole."""
    data = image.files[image.current(role)][:-1] + b',"note":"by the publisher"}'
    return data, FileInfo(1, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def test_a_listed_file_is_kept_byte_for_byte_as_its_index_lists_it(image: RepositorySimulator) -> None:
    root = bootstrap_repository(IMAGE, image.files["1.root.json"]).root.signed
    data, listed = noted(image, "snapshot")
    assert check_snapshot(data, root=root, listed=listed, floor=None, context=CONTEXT).data == data
    data, listed = noted(image, "targets")
    authority = top_level_authority(root)
    assert check_targets(data, authority=authority, listed=listed, floor=None, context=CONTEXT).data == data


def test_a_file_that_no_index_lists_is_kept_without_what_is_not_signed(image: RepositorySimulator) -> None:
    root = bootstrap_repository(IMAGE, image.files["1.root.json"]).root.signed
    data, _ = noted(image, "targets")
    found = check_targets(data, authority=top_level_authority(root), listed=None, floor=None, context=CONTEXT)
    assert found.data == image.files[image.current("targets")]


def test_a_file_with_its_proof_is_read_without_counting_its_signatures(image: RepositorySimulator) -> None:
    root = bootstrap_repository(IMAGE, image.files["1.root.json"]).root.signed
    authority, subject = top_level_authority(root), CONTEXT.subject(TARGETS)
    data = image.files[image.current("targets")]
    counted = read_targets(data, authority=authority, context=CONTEXT)
    proof = prove(counted, authority.keys, authority.signers, subject=subject)
    assert read_targets(data, authority=authority, context=CONTEXT, proof=proof) == counted
    # Only that a proof is taken at its word shows that nothing was counted: this signature does not hold.
    signature = image.key("targets").sign(image.payload(image.bodies["targets"]))
    garbled = data.replace(signature.hex().encode(), b"00" * 64)
    assert garbled != data
    forged = make_proof(garbled, counted.content, authority.digest, subject)
    assert read_targets(garbled, authority=authority, context=CONTEXT, proof=forged).data == garbled


def test_a_proof_is_of_content_of_one_length() -> None:
    for size, holds in ((31, False), (32, True), (33, False), (64, False)):
        content = bytes(size)
        proof = make_proof(b"file", content, AUTHORITY.digest, "tuf/targets")
        assert (read_proof(proof, b"file", AUTHORITY.digest, "tuf/targets") == content) is holds


def test_the_digest_of_an_authority_is_the_same_in_every_release() -> None:
    # Proofs are stored; another digest of the same keys makes every vehicle count all signatures again.
    key = PUBLIC[A]
    parts = [b"twinlock authority 1", b"2", A.encode(), b"ed25519", key.identity]
    demanding = [*parts[:2], b"post-quantum", *parts[2:]]
    for post_quantum, listed in ((False, parts), (True, demanding)):
        expected = hashlib.sha256(b"".join(b"%d:" % len(part) + part for part in listed)).digest()
        assert authority_digest((A,), 2, PUBLIC, post_quantum=post_quantum) == expected
