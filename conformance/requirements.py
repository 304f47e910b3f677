"""The list of the Standard's rules: ``requirements.yaml``, read strictly.

Belongs here: what the Standard asks. Does not belong here: what we made of it (``evidence.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
MUST, SHOULD, MAY = "must", "should", "may"


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One rule. See the head of ``requirements.yaml`` for the fields."""

    id: str
    section: str
    title: str
    level: str
    modal: str
    requirement: str
    test: str
    test_kind: str
    applies_to: tuple[str, ...]
    profile: str | None = None
    guards: tuple[str, ...] = ()

    @property
    def binding(self) -> bool:
        """Whether the project is held to it: a must, or a should that our profile makes one."""
        return MUST in (self.level, self.profile)


@dataclass(frozen=True)
class Catalogue:
    """All rules in the order of the Standard, and the attacks by id with what they are."""

    standard: str
    requirements: tuple[Requirement, ...]
    attacks: dict[str, str]


def load_requirements(path: Path = HERE / "requirements.yaml") -> Catalogue:
    """Read the list. Raises: ValueError for a rule that is not well formed, naming it."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    titles = {str(section): title for section, title in document["sections"].items()}
    attacks = {attack["id"]: f"{attack['name']}: {attack['description']}" for attack in document["attacks"]}
    found = tuple(_requirement(item, titles, attacks) for item in document["requirements"])
    if len({item.id for item in found}) != len(found):
        raise ValueError("an id stands twice in the requirements")
    standard = document["standard"]
    return Catalogue(f"{standard['name']} {standard['version']}", found, attacks)


def in_section(requirement: Requirement, section: str) -> bool:
    """Whether the rule stands in ``section`` or below it."""
    return requirement.section == section or requirement.section.startswith(f"{section}.")


def _requirement(item: dict[str, Any], titles: dict[str, str], attacks: dict[str, str]) -> Requirement:
    section = str(item["section"])
    if item["level"] not in (MUST, SHOULD, MAY) or item.get("profile") not in (None, MUST):
        raise ValueError(f"{item['id']}: unknown level {item['level']!r} or profile {item.get('profile')!r}")
    unknown = set(item.get("guards", ())) - attacks.keys()
    if section not in titles or unknown:
        raise ValueError(f"{item['id']}: unknown section {section!r} or attacks {sorted(unknown)}")
    rest = {name: value for name, value in item.items() if name not in ("section", "applies_to", "guards")}
    return Requirement(
        **rest,
        section=section,
        title=titles[section],
        applies_to=tuple(item["applies_to"]),
        guards=tuple(item.get("guards", ())),
    )
