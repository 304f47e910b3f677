"""When two files are the same, and which bytes of one are kept."""

from __future__ import annotations

import hashlib

import pytest

from twinlock.testing.simulator.keys import JSON, KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import as_stored, check_floor, is_same_content
from twinlock.trust.errors.metadata import EquivocationError
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Verified, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import IMAGE, TARGETS
from twinlock.trust.policy import STRICT
from twinlock.trust.state.floors import Floor
from twinlock.trust.wire.tuf.metadata import TUF

KEY = KeyPool()("image-targets-1")
CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
BODY: JSON = RepositorySimulator("image", KeyPool(), lambda: START).bodies["targets"]
CANONICAL = RepositorySimulator("image", KeyPool(), lambda: START).payload(BODY)
SPACED = CANONICAL.replace(b'":', b'": ')


def enclosed(signed: bytes, payload: bytes, *, around: bytes = b"") -> bytes:
    """A file that serves ``signed``, with a signature over ``payload`` and ``around`` as a member of its own."""
    signature = f'{{"keyid":"{KEY.keyid}","sig":"{KEY.sign(payload).hex()}"}}'.encode()
    return b'{"signatures":[' + signature + b'],"signed":' + signed + around + b"}"


def read(data: bytes) -> tuple[Verified[Targets], Envelope[Targets]]:
    """The file, its signature counted."""
    envelope = TUF.decode_targets(data, "image/targets", DEFAULT_LIMITS)
    role = RoleKeys((KEY.public_key.keyid,), 1)
    keys = {KEY.public_key.keyid: KEY.public_key}
    return verify_signatures(envelope, keys, role, repository=IMAGE, role_name=TARGETS), envelope


def floor(content: bytes, version: int = 1) -> Floor:
    return Floor(version=version, content=hashlib.sha256(content).digest(), root=1, material={})


@pytest.mark.parametrize(
    ("data", "established", "same"),
    [
        (enclosed(CANONICAL, CANONICAL), CANONICAL, True),
        (enclosed(SPACED, SPACED), SPACED, True),
        (enclosed(SPACED, CANONICAL), CANONICAL, True),
        # A signer that signs another spelling than before still says the same.
        (enclosed(SPACED, SPACED), CANONICAL, True),
        (enclosed(CANONICAL, CANONICAL), b"other", False),
        (enclosed(SPACED, SPACED), b"other", False),
    ],
)
def test_the_bytes_that_were_signed_or_their_canonical_form_are_compared(
    data: bytes, established: bytes, same: bool
) -> None:
    verified, envelope = read(data)
    assert is_same_content(verified, envelope, floor(established)) is same
    if same:
        check_floor(verified, envelope, floor(established), TARGETS, CONTEXT)
        return
    with pytest.raises(EquivocationError):
        check_floor(verified, envelope, floor(established), TARGETS, CONTEXT)


def test_a_form_that_has_no_other_spelling_is_compared_as_received() -> None:
    verified, envelope = read(enclosed(SPACED, SPACED))
    envelope = envelope._replace(canonical=None)
    assert is_same_content(verified, envelope, floor(SPACED))
    assert not is_same_content(verified, envelope, floor(CANONICAL))


@pytest.mark.parametrize(
    ("listed", "whole"),
    [
        (None, False),
        (FileInfo(1, None, {}), False),
        (FileInfo(1, 900, {}), True),
        (FileInfo(1, 0, {}), True),
        (FileInfo(1, None, {"sha256": "00"}), True),
        (FileInfo(1, 900, {"sha256": "00"}), True),
    ],
)
def test_a_file_is_kept_as_served_where_an_index_holds_readers_to_its_bytes(
    listed: FileInfo | None, whole: bool
) -> None:
    served = enclosed(CANONICAL, CANONICAL, around=b',"note":"by the mirror"')
    verified, envelope = read(served)
    kept = as_stored(verified, envelope, listed)
    assert kept.data == (served if whole else enclosed(CANONICAL, CANONICAL))
    assert kept.content == verified.content


def test_a_file_that_cannot_be_reduced_is_kept_as_served() -> None:
    served = enclosed(CANONICAL, CANONICAL, around=b',"note":"by the mirror"')
    verified, envelope = read(served)
    assert as_stored(verified, envelope._replace(bare=None), None).data == served
