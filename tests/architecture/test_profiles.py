"""How far the aktualizr profile is kept behind the seam (docs/adr/0008): who names it outside its own folders, which may only fall."""

from __future__ import annotations

import re

from tests.architecture.source import PARTS, Module, part_modules, snippet

OWN = ("twinlock.trust.wire.aktualizr", "twinlock.repository.aktualizr", "twinlock.director.aktualizr")
NAME = re.compile("|".join(map(re.escape, OWN)))
MOST_FILES = 15  # two of them in twinlock.testing
# All that names the profile in the Image repository: what makes the write sides, what only this profile has (its import, its
# server, its beginning and its hand-over), and the Root ceremony, whose file carries both forms from key to key.
IN_THE_REPOSITORY = (
    "twinlock.repository.importing",
    "twinlock.repository.publishing.aktualizr_profile",
    "twinlock.repository.publishing.profiles",
    "twinlock.repository.publishing.root_ceremony",
    "twinlock.repository.publishing.root_signing",
    "twinlock.repository.serving.aktualizr_app",
)
# Beside its own folder: where the Director's profiles are composed, and where its vehicles register their ECUs.
IN_DIRECTOR = {"twinlock.director.setup.create", "twinlock.director.devices.registration"}
CONSTANT = "AKTUALIZR_PROFILE"
# Who names the profile at all: its folder, the vehicles that speak it, and what makes records and operators' calls of it.
NAMES_IT = ("twinlock.director.aktualizr.", "twinlock.director.devices.")
NAMES_IT_TOO = {"twinlock.director.model.records", "twinlock.director.director"}


def imports_profile(module: Module) -> bool:
    """Whether a module outside the profile's folders imports from them."""
    return not module.name.startswith(OWN) and NAME.search(module.text) is not None


def test_no_more_modules_import_the_profile_than_did() -> None:
    found = [module.name for part in PARTS for module in part_modules(part) if imports_profile(module)]
    assert len(found) <= MOST_FILES, found


def test_the_repository_is_handed_the_write_side_of_its_profiles() -> None:
    named = [module.name for module in part_modules("repository") if imports_profile(module)]
    assert not [name for name in named if not name.startswith(IN_THE_REPOSITORY)]


def test_the_director_knows_the_profile_in_its_folder_alone() -> None:
    assert {module.name for module in part_modules("director") if imports_profile(module)} == IN_DIRECTOR


def test_no_rule_of_the_director_branches_on_a_profile() -> None:
    branching = {module.name for module in part_modules("director") if branches(module)}
    assert branching == NAMES_IT_TOO


def branches(module: Module) -> bool:
    """Whether a module outside the profile's rooms compares or passes its name."""
    return not module.name.startswith(NAMES_IT) and CONSTANT in module.text


def test_the_detector_sees_its_fault() -> None:
    text = "from twinlock.trust.wire.aktualizr import form"
    assert imports_profile(snippet(text, "twinlock.repository.signing.a"))
    assert not imports_profile(snippet(text, "twinlock.repository.aktualizr.a"))
    rule = f"if record.wire == {CONSTANT}: pass"
    assert branches(snippet(rule, "twinlock.director.planning.a"))
    assert not branches(snippet(rule, "twinlock.director.aktualizr.a"))
