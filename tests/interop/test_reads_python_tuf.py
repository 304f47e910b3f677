"""Our engine reads a repository that was written with python-tuf's tools alone, served from plain files."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import ExpiredError, MixAndMatchError, RollbackError, ThresholdError
from twinlock.trust.names import IMAGE, TargetPath
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=30)
FIRMWARE = b"firmware"
SIGNERS = (
    CryptoSigner.generate_ed25519,
    lambda: CryptoSigner.generate_ecdsa(scheme="ecdsa-sha2-nistp256"),
    lambda: CryptoSigner.generate_ecdsa(scheme="ecdsa-sha2-nistp384"),
    lambda: CryptoSigner.generate_rsa(size=2048),
)


class TufRepository:
    """A repository as python-tuf's users write one: their objects, their signers, their file names."""

    def __init__(self, directory: Path, make: object = CryptoSigner.generate_ed25519) -> None:
        self.directory = directory
        self.signers = {role: make() for role in ("root", "timestamp", "snapshot", "targets")}  # type: ignore[operator]
        root = Root(expires=EXPIRES)
        for role, signer in self.signers.items():
            root.add_key(signer.public_key, role)
        self.root = Metadata(root)
        self.targets = Metadata(Targets(expires=EXPIRES))
        self.snapshot = Metadata(Snapshot(expires=EXPIRES))
        self.timestamp = Metadata(Timestamp(expires=EXPIRES))
        self.delegated: dict[str, tuple[Metadata[Targets], CryptoSigner]] = {}

    def write(self, *, pretty: bool = False) -> None:
        from tuf.api.serialization.json import JSONSerializer

        def save(metadata: Metadata[object], name: str) -> None:  # type: ignore[type-var]
            data = metadata.to_bytes(JSONSerializer(compact=not pretty))
            (self.directory / name).write_bytes(data)

        self.root.sign(self.signers["root"])
        save(self.root, f"{self.root.signed.version}.root.json")  # type: ignore[arg-type]
        for name, (metadata, signer) in self.delegated.items():
            metadata.sign(signer)
            save(metadata, f"{metadata.signed.version}.{name}.json")  # type: ignore[arg-type]
            self.snapshot.signed.meta[f"{name}.json"] = MetaFile(metadata.signed.version)
        self.targets.sign(self.signers["targets"])
        save(self.targets, f"{self.targets.signed.version}.targets.json")  # type: ignore[arg-type]
        self.snapshot.signed.meta["targets.json"] = MetaFile(self.targets.signed.version)
        self.snapshot.sign(self.signers["snapshot"])
        save(self.snapshot, f"{self.snapshot.signed.version}.snapshot.json")  # type: ignore[arg-type]
        self.timestamp.signed.snapshot_meta = MetaFile(self.snapshot.signed.version)
        self.timestamp.sign(self.signers["timestamp"])
        save(self.timestamp, "timestamp.json")  # type: ignore[arg-type]

    def release(self) -> None:
        for metadata in (self.targets, self.snapshot, self.timestamp):
            metadata.signed.version += 1
        self.write()

    def anchor(self) -> TrustedRepository:
        return bootstrap_repository(IMAGE, (self.directory / "1.root.json").read_bytes())

    def answer(self, command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        path = self.directory / command.name
        return path.read_bytes() if path.exists() else ABSENT

    def refresh(self, trusted: TrustedRepository, now: datetime = NOW) -> TrustedRepository:
        return drive(refresh_repository(trusted, now, policy=LAX), self.answer)

    def find(self, path: str) -> Found:
        return drive(find_image(self.refresh(self.anchor()), TargetPath(path), None, NOW, policy=LAX), self.answer)


def entry(path: str) -> TargetFile:
    return TargetFile(len(FIRMWARE), {"sha256": hashlib.sha256(FIRMWARE).hexdigest()}, path)


@pytest.fixture
def theirs(tmp_path: Path) -> TufRepository:
    repository = TufRepository(tmp_path)
    repository.targets.signed.targets["a.bin"] = entry("a.bin")
    return repository


@pytest.mark.parametrize("make", SIGNERS)
@pytest.mark.parametrize("pretty", [False, True])
def test_signatures_of_every_kind_over_compact_and_indented_files(tmp_path: Path, make: object, pretty: bool) -> None:
    theirs = TufRepository(tmp_path, make)
    theirs.targets.signed.targets["a.bin"] = entry("a.bin")
    theirs.write(pretty=pretty)
    found = theirs.find("a.bin")
    assert found.entry is not None
    assert found.entry.length == len(FIRMWARE)
    assert found.entry.hashes == {"sha256": hashlib.sha256(FIRMWARE).hexdigest()}
    assert theirs.find("b.bin").entry is None


def test_text_beyond_ascii_and_fields_nobody_knows(theirs: TufRepository) -> None:
    theirs.targets.signed.targets["größe/ü.bin"] = entry("größe/ü.bin")
    theirs.targets.signed.unrecognized_fields["note"] = 'quotes " backslash \\ tab \t line \n emoji \U0001f697'
    theirs.root.signed.unrecognized_fields["note"] = ["ä", {"nested": None, "yes": True}]
    theirs.write()
    assert theirs.find("größe/ü.bin").entry is not None


def test_a_chain_of_delegations(theirs: TufRepository) -> None:
    for delegator, role, pattern in ((theirs.targets, "one", "x/*"), (None, "two", "x/y*")):
        signer = CryptoSigner.generate_ed25519()
        metadata = Metadata(Targets(expires=EXPIRES))
        target = delegator or theirs.delegated["one"][0]
        keys = {signer.public_key.keyid: signer.public_key}
        delegated = DelegatedRole(role, list(keys), 1, terminating=False, paths=[pattern])
        target.signed.delegations = Delegations(dict(keys), {role: delegated})
        theirs.delegated[role] = (metadata, signer)
    theirs.delegated["two"][0].signed.targets["x/y.bin"] = entry("x/y.bin")
    theirs.write()
    assert theirs.find("x/y.bin").chain == ("targets", "one", "two")
    assert theirs.find("x/z.bin").entry is None


def test_succinct_hash_bins(theirs: TufRepository) -> None:
    signer = CryptoSigner.generate_ed25519()
    bins = SuccinctRoles([signer.public_key.keyid], 1, 4, "bin")
    theirs.targets.signed.delegations = Delegations({signer.public_key.keyid: signer.public_key}, None, bins)
    for name in bins.get_roles():
        theirs.delegated[name] = (Metadata(Targets(expires=EXPIRES)), signer)
    for number in range(50):
        path = f"img/{number}.bin"
        theirs.delegated[bins.get_role_for_target(path)][0].signed.targets[path] = entry(path)
    theirs.write()
    for number in range(50):
        found = theirs.find(f"img/{number}.bin")
        assert found.entry is not None
        assert found.chain == ("targets", bins.get_role_for_target(f"img/{number}.bin"))


def test_updates_and_a_rotated_root(theirs: TufRepository) -> None:
    theirs.write()
    trusted = theirs.refresh(theirs.anchor())
    theirs.release()
    old, new = theirs.signers["root"], CryptoSigner.generate_ed25519()
    theirs.root.signed.version = 2
    theirs.root.signed.revoke_key(old.public_key.keyid, "root")
    theirs.root.signed.add_key(new.public_key, "root")
    theirs.root.sign(old)
    theirs.root.sign(new, append=True)
    theirs.root.to_file(str(theirs.directory / "2.root.json"))
    trusted = theirs.refresh(trusted)
    assert trusted.root.signed.version == 2
    assert trusted.timestamp is not None
    assert trusted.timestamp.signed.version == 2


@pytest.mark.parametrize(
    ("attack", "error"),
    [
        ("expired", ExpiredError),
        ("foreign key", ThresholdError),
        ("older timestamp", RollbackError),
        ("swapped targets", MixAndMatchError),
    ],
)
def test_and_refuses_what_it_has_to(theirs: TufRepository, attack: str, error: type[RefusalError]) -> None:
    theirs.write()
    trusted = theirs.anchor()
    now = NOW
    if attack == "expired":
        now = EXPIRES
    elif attack == "foreign key":
        theirs.signers["targets"] = CryptoSigner.generate_ed25519()
        theirs.write()
    elif attack == "older timestamp":
        old = (theirs.directory / "timestamp.json").read_bytes()
        theirs.release()
        trusted = theirs.refresh(trusted)
        (theirs.directory / "timestamp.json").write_bytes(old)
    else:
        theirs.release()
        new = theirs.directory / "2.targets.json"
        new.write_bytes((theirs.directory / "1.targets.json").read_bytes())
    with pytest.raises(error):
        theirs.refresh(trusted, now)
