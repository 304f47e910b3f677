"""The last gate: a candidate that any vehicle would refuse is not published, whatever made it."""

from __future__ import annotations

import pytest

from tests.unit.repository.conftest import Acme
from tests.unit.repository.test_publish import tree
from twinlock.repository.authoring.delegations import AuthoredDelegation, Member, write_delegations
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.errors import MissingRoleFileError, StoreTamperedError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.public_keys import read_key_files
from twinlock.repository.publishing.publish import commit
from twinlock.repository.signing.sign import sign_file
from twinlock.repository.workspace.state import read_state
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.images import ImageNotFoundError
from twinlock.trust.errors.metadata import MalformedError, RoleRemovedError, ThresholdError


@pytest.fixture
def candidate(filled: ImageRepository) -> NextPublication:
    return NextPublication(read_state(filled.workspace))


def refused(
    repository: ImageRepository, candidate: NextPublication, error: type[TwinlockError], *images: str
) -> TwinlockError:
    before = tree(repository)
    with pytest.raises(error) as caught:
        commit(candidate, images=images)
    assert tree(repository) == before
    return caught.value


def to_acme(acme: Acme) -> AuthoredDelegation:
    keys = read_key_files([acme.place.public_key_file])
    return AuthoredDelegation(members=(Member(name="acme", keys=keys),), paths=("acme/*",))


def test_a_delegation_to_a_role_without_a_file(filled: ImageRepository, candidate: NextPublication, acme: Acme) -> None:
    write_delegations(candidate.edit_targets(), [to_acme(acme)])
    error = refused(filled, candidate, MissingRoleFileError)
    assert (error.fields()["role"], error.fields()["delegator"]) == ("acme", "targets")


def test_a_delegated_file_that_other_keys_signed(
    filled: ImageRepository, candidate: NextPublication, acme: Acme
) -> None:
    acme.sign()
    keys = {str(record.keyid): record.public_json()["key"] for record in filled.keyring.generate("acme")}
    delegation = AuthoredDelegation(members=(Member(name="acme", keys=keys),), paths=("acme/*",))
    write_delegations(candidate.edit_targets(), [delegation])
    candidate.accept("acme", (acme.outbox / "metadata/acme.json").read_bytes())
    refused(filled, candidate, StoreTamperedError)


def test_what_only_a_vehicle_that_was_there_before_would_refuse(filled: ImageRepository, acme: Acme) -> None:
    """A role that vanishes from Snapshot: a new vehicle sees nothing wrong, one that followed sees a rollback."""
    acme.sign()
    filled.stage_delegation(to_acme(acme))
    filled.accept(acme.outbox)
    filled.publish()
    filled.undelegate("acme")
    filled.publish()
    candidate = NextPublication(read_state(filled.workspace))
    candidate.forget("acme")
    refused(filled, candidate, RoleRemovedError)


def test_an_image_that_no_vehicle_would_find(filled: ImageRepository, candidate: NextPublication) -> None:
    candidate.renew("targets")
    refused(filled, candidate, ImageNotFoundError, "missing.bin")


def test_signatures_that_are_not_those_of_the_role(
    filled: ImageRepository, candidate: NextPublication, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seal_without_signatures(
        role: str, signed: object, authorities: object, *rest: object, **options: object
    ) -> bytes:
        return sign_file(role, signed, [], *rest, **options)  # type: ignore[type-var, arg-type]

    monkeypatch.setattr("twinlock.repository.publishing.profiles.sign_file", seal_without_signatures)
    candidate.renew("targets")
    refused(filled, candidate, ThresholdError)


def test_a_file_larger_than_vehicles_read(
    filled: ImageRepository, candidate: NextPublication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("twinlock.repository.signing.sign", fromlist=["_"])._MAX_BYTES, "targets", 500)
    candidate.renew("targets")
    refused(filled, candidate, UsageError)


def test_a_file_of_ours_with_a_key_id_that_it_holds_no_key_for(
    filled: ImageRepository, candidate: NextPublication
) -> None:
    candidate.edit_root().roles["snapshot"].keyids.append("e" * 64)
    refused(filled, candidate, MalformedError)
