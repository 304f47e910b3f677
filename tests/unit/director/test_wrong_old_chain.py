"""An old chain of the other repository is not continued: one set of keys would sign for both. Nothing is made before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.repository.foreign_repository import Foreign
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.director.errors.operator import NoRootError
from twinlock.director.model.profiles import OldChain
from twinlock.repository.errors import WrongRepositoryError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.importing.plan import Takeover


def chain_of(old: Foreign) -> OldChain:
    return OldChain(roots=old.repo, keys=old.keys)


def check_refused(director: Director, old: Foreign) -> WrongRepositoryError:
    before = sorted(path for path in director.path.rglob("*.*") if path.suffix != ".lock")
    with pytest.raises(WrongRepositoryError) as caught:
        director.add_wire("aktualizr", continue_from=chain_of(old))
    assert caught.value.fields()["path"] == str(old.repo)
    assert "an Image repository" in str(caught.value)
    assert "a Director" in str(caught.value)
    assert sorted(path for path in director.path.rglob("*.*") if path.suffix != ".lock") == before
    with pytest.raises(NoRootError):
        director.root_bytes(profile="aktualizr")
    return caught.value


def test_the_chain_of_the_image_repository_that_the_director_trusts_is_refused_by_its_keys(tmp_path: Path) -> None:
    old = Foreign(tmp_path / "theirs").write()
    image, _ = ImageRepository.take_over(tmp_path / "image", Takeover(source=old.repo, keys=old.keys))
    newest = image.root_bytes()
    old.keep_roots()  # nothing but the keys shows whose it is
    with Director.create(tmp_path / "director", image_root=newest, image_url=str(tmp_path / "image")) as director:
        assert "1.root.json names the key" in str(check_refused(director, old))


@pytest.mark.parametrize("role", ["root", "timestamp", "targets"])
def test_one_shared_key_is_enough_in_whatever_role(role: str, tmp_path: Path) -> None:
    theirs, old = Foreign(tmp_path / "theirs"), Foreign(tmp_path / "old")
    old.signers[role] = theirs.signers["snapshot"]
    theirs.write()
    old.write().keep_roots()
    image, _ = ImageRepository.take_over(tmp_path / "image", Takeover(source=theirs.repo, keys=theirs.keys))
    with Director.create(
        tmp_path / "director", image_root=image.root_bytes(), image_url=str(tmp_path / "image")
    ) as director:
        check_refused(director, old)


@pytest.fixture
def director(tmp_path: Path) -> Any:
    root = ImageRepository.create(tmp_path / "image").root_bytes()
    with Director.create(tmp_path / "director", image_root=root, image_url=str(tmp_path / "image")) as made:
        yield made


def test_another_image_repository_is_known_by_its_delegations(director: Director, tmp_path: Path) -> None:
    assert "delegates" in str(check_refused(director, Foreign(tmp_path / "theirs").write()))


def targets_of(old: Foreign, **custom: Any) -> None:
    """Let ``targets.json`` list one image with ``custom``; whoever continues Roots need not verify it."""
    signed = {"_type": "Targets", "targets": {"fw.bin": {"custom": custom}}}
    (old.repo / "targets.json").write_text(json.dumps({"signatures": [], "signed": signed}))


def test_another_image_repository_is_known_by_hardware_ids_and_a_director_by_ecus(
    director: Director, tmp_path: Path
) -> None:
    old = Foreign(tmp_path / "theirs").write().keep_roots()
    targets_of(old, hardwareIds=["hw-7"])
    assert "hardwareIds for fw.bin" in str(check_refused(director, old))
    targets_of(old, ecuIdentifiers={"serial": {"hardwareId": "hw-7"}})
    assert director.add_wire("aktualizr", continue_from=chain_of(old)) == 3


def test_the_files_of_a_director_are_not_imported_as_an_image_repository(tmp_path: Path) -> None:
    old = Foreign(tmp_path / "theirs")
    old.add("fw.bin", b"one", ecuIdentifiers={"serial": {"hardwareId": "hw-7"}})
    old.write()
    words = ("image", "import", str(tmp_path / "new"), "--from", str(old.repo), "--keys", str(old.keys), "--json")
    for more in (("--plain-keys",), ("--dry-run",)):
        answer = CliRunner().invoke(main, [*words, *more])
        error = json.loads(answer.stdout)["error"]
        assert (answer.exit_code, error["code"]) == (2, "wrong-repository"), answer.output
        assert "ecuIdentifiers for fw.bin" in error["message"]
        assert not (tmp_path / "new").exists()


def test_the_question_names_the_chain_that_is_continued(director: Director, tmp_path: Path) -> None:
    old = Foreign(tmp_path / "theirs").write().keep_roots()
    words = (
        "director",
        "wire",
        str(director.path),
        "aktualizr",
        "--go-on-from",
        str(old.repo),
        "--keys",
        str(old.keys),
    )
    answer = CliRunner().invoke(main, [*words], input="n\n")
    assert f"as the next of the old Director whose Roots are in {old.repo}" in answer.output
