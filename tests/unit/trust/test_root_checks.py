"""What makes one Root the next of a chain: whose signatures are counted twice, the spelling of its type, its floor."""

from __future__ import annotations

from typing import Any

import pytest

from twinlock.testing.simulator.keys import JSON, Key, KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.wires import AKTUALIZR_WIRE, TUF_WIRE, AktualizrWire, Wire
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import EquivocationError, OtherChainError, ThresholdError
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.names import IMAGE, ROOT
from twinlock.trust.policy import STRICT
from twinlock.trust.state.floors import Floor
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.metadata import TUF

KEYS = KeyPool()
CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)


def repository(wire: Wire = TUF_WIRE) -> RepositorySimulator:
    """A repository with everything at version 1."""
    return RepositorySimulator("image", KEYS, lambda: START, wire=wire)


def first(image: RepositorySimulator) -> Verified[Root]:
    """Its Root as a factory trusts it."""
    return bootstrap_repository(IMAGE, image.files["1.root.json"], wire=image.wire.profile).root


def following(image: RepositorySimulator, *signers: Key) -> bytes:
    """The next Root, as its body stands, by ``signers``."""
    image.bump("root")
    return image.put("root", signers=signers)


def test_other_keys_under_the_same_key_ids_need_the_signatures_of_the_old_ones() -> None:
    image = repository()
    old = image.key("root")
    trusted = first(image)
    new = KEYS("image-root-2").alias(old.keyid)
    image.bodies["root"]["keys"][old.keyid] = new.public
    with pytest.raises(ThresholdError) as caught:
        check_next_root(following(image, new), trusted=trusted, context=CONTEXT)
    assert (caught.value.valid, caught.value.invalid) == (0, (old.keyid,))


def test_a_lower_threshold_of_the_same_keys_needs_the_old_number_of_signatures() -> None:
    image = repository()
    pair = [image.key("root"), image.key("root", 2)]
    image.set_keys("root", pair)
    image.put("root")
    trusted = first(image)
    image.set_keys("root", pair, threshold=1)
    with pytest.raises(ThresholdError) as caught:
        check_next_root(following(image, pair[0]), trusted=trusted, context=CONTEXT)
    assert (caught.value.valid, caught.value.required) == (1, 2)
    data = image.put("root", signers=pair)
    assert check_next_root(data, trusted=trusted, context=CONTEXT).signed.roles[ROOT].threshold == 1


class LowerCase(AktualizrWire):
    """The spelling of publishers whose Root alone is in lower case."""

    def dress(self, body: JSON, *, orders: bool = False) -> JSON:
        """The type of a Root as TUF writes it."""
        signed = super().dress(body, orders=orders)
        return signed | {"_type": "root"} if signed["_type"] == "Root" else signed


@pytest.mark.parametrize(
    ("before", "after"), [(LowerCase(), LowerCase()), (LowerCase(), AKTUALIZR_WIRE), (AKTUALIZR_WIRE, AKTUALIZR_WIRE)]
)
def test_a_chain_keeps_the_spelling_of_its_type_or_mends_it(before: Wire, after: Wire) -> None:
    image = repository(before)
    trusted = first(image)
    image.wire = after
    context = CONTEXT._replace(wire=AKTUALIZR)
    found = check_next_root(following(image, image.key("root")), trusted=trusted, context=context)
    assert found.signed.version == 2


def test_a_chain_of_the_profile_s_spelling_never_changes_to_the_tolerated_one() -> None:
    image = repository(AKTUALIZR_WIRE)
    trusted = first(image)
    image.wire = LowerCase()
    context = CONTEXT._replace(wire=AKTUALIZR)
    data = following(image, image.key("root"))
    with pytest.raises(OtherChainError) as caught:
        check_next_root(data, trusted=trusted, context=context)
    assert caught.value.fields() == {"repository": IMAGE, "offered": 2, "found": "root", "expected": "Root"}


@pytest.mark.parametrize(("version", "other"), [(1, False), (2, True), (3, False)])
def test_a_chain_walked_again_meets_the_newest_root_ever_trusted_at_its_version(version: int, other: bool) -> None:
    image = repository()
    trusted = first(image)
    floor = Floor(version=version, content=bytes(32), root=version, material={})
    data = following(image, image.key("root"))

    def walk(floor: Floor) -> Any:
        return check_next_root(data, trusted=trusted, context=CONTEXT, floor=floor)

    if other:
        with pytest.raises(EquivocationError) as caught:
            walk(floor)
        assert caught.value.fields() == {"repository": IMAGE, "role": ROOT, "version": 2}
        floor = floor._replace(content=check_next_root(data, trusted=trusted, context=CONTEXT).content)
    assert walk(floor).signed.version == 2
