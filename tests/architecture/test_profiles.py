"""How far the aktualizr profile is kept behind the seam (docs/adr/0008): who names it outside its own folders, which may only fall."""

from __future__ import annotations

import re

from tests.architecture.source import PARTS, Module, part_modules, snippet

OWN = ("twinlock.trust.wire.aktualizr", "twinlock.repository.aktualizr")
HANDED_ITS_WRITERS = ("twinlock.repository.publishing.publish", "twinlock.repository.authoring.next_publication")
NAME = re.compile("twinlock\\.repository\\.aktualizr|twinlock\\.trust\\.wire\\.aktualizr")
MOST_FILES = 32  # two of them in twinlock.testing


def imports_profile(module: Module) -> bool:
    """Whether a module outside the profile's folders imports from them."""
    return not module.name.startswith(OWN) and NAME.search(module.text) is not None


def test_no_more_modules_import_the_profile_than_did() -> None:
    found = [module.name for part in PARTS for module in part_modules(part) if imports_profile(module)]
    assert len(found) <= MOST_FILES, found


def test_publishing_is_handed_its_writers() -> None:
    assert not {m.name for m in part_modules("repository") if imports_profile(m)} & set(HANDED_ITS_WRITERS)


def test_the_detector_sees_its_fault() -> None:
    text = "from twinlock.trust.wire.aktualizr import form"
    assert imports_profile(snippet(text, "twinlock.repository.signing.a"))
    assert not imports_profile(snippet(text, "twinlock.repository.aktualizr.a"))
