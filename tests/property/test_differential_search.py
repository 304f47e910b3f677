"""python-tuf as an independent judge of the delegation walk: over generated graphs both find the same, or nothing.

Graphs hold cycles, diamonds, terminating delegations, patterns and hash prefixes; some roles' files are missing or
signed by strangers. ``docs/oracle.md`` explains the two rules under which the answers may differ.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.ngclient import Updater

from tests.property.test_differential import Case, Net
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.names import target_path

ROLES = ("a", "b", "c", "d")
PATHS = ("fw.bin", "x/fw.bin", "x/y/fw.bin", "y/fw.bin")
PATTERNS = ("*", "x/*", "*/fw.bin", "x/?/fw.bin", "y/*", "[xy]/fw.bin")


@dataclass(frozen=True)
class Edge:
    """One delegation of the generated graph; ``prefix`` replaces ``pattern`` when it is given."""

    parent: str
    child: str
    pattern: str
    terminating: bool
    prefix: str | None


edges = st.lists(
    st.builds(
        Edge,
        parent=st.sampled_from(("targets", *ROLES)),
        child=st.sampled_from(ROLES),
        pattern=st.sampled_from(PATTERNS),
        terminating=st.booleans(),
        prefix=st.none() | st.sampled_from([hashlib.sha256(path.encode()).hexdigest()[:2] for path in PATHS]),
    ),
    max_size=8,
    unique_by=lambda edge: (edge.parent, edge.child),
)
images = st.sets(st.tuples(st.sampled_from(("targets", *ROLES)), st.sampled_from(PATHS)), max_size=8)


def _build(case: Case, graph: list[Edge], listed: set[tuple[str, str]]) -> None:
    repository = case.repository
    for edge in graph:
        patterns = {"path_hash_prefixes": [edge.prefix]} if edge.prefix else {"paths": [edge.pattern]}
        entry = repository.delegate(edge.parent, edge.child, terminating=edge.terminating)
        entry.update(patterns)
    for role, path in sorted(listed):
        if role in repository.bodies:
            repository.add_image(path, f"{role} {path}".encode(), role=role)
    repository.publish("targets", *[role for role in ROLES if role in repository.bodies])


def _ours(case: Case, path: str) -> str:
    try:
        trusted = case.store.restore("image")
        found = drive(find_image(trusted, target_path(path), None, case.now), case._answer)
    except RefusalError as error:
        return f"refused: {error.code}"
    return "nothing" if found.entry is None else found.entry.hashes["sha256"]


def _theirs(case: Case, path: str) -> str:
    updater = Updater(str(case.folder), "https://image.test/", fetcher=Net(case.repository), bootstrap=case.first_root)
    updater._trusted_set.reference_time = case.now  # its clock cannot be set from outside
    try:
        info = updater.get_targetinfo(path)
    except (RepositoryError, DownloadError):
        return "refused"
    return "nothing" if info is None else info.hashes["sha256"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph=edges, listed=images, broken=st.none() | st.sampled_from(ROLES), missing=st.booleans())
def test_both_walks_find_the_same(
    graph: list[Edge], listed: set[tuple[str, str]], broken: str | None, missing: bool
) -> None:
    parents = {edge.child for edge in graph} | {"targets"}
    graph = [edge for edge in graph if edge.parent in parents and edge.parent != edge.child]
    with tempfile.TemporaryDirectory() as folder:
        case = Case(Path(folder))
        _order(case, graph, listed)
        if broken in case.repository.bodies and broken is not None:
            if missing:
                case.repository.files.pop(case.repository.current(broken))
            else:
                case.repository.put(broken, signers=[case.repository.key("stranger")])
        assert case.ours().accepted
        for path in PATHS:
            ours, theirs = _ours(case, path), _theirs(case, path)
            assert ours.split(":")[0] == theirs, f"{path}: ours {ours}, theirs {theirs}"


def _order(case: Case, graph: list[Edge], listed: set[tuple[str, str]]) -> None:
    """Build the graph; a parent has to exist before it delegates, so its body is made first."""
    for role in {edge.parent for edge in graph} - {"targets"}:
        case.repository.add_role(role)
    _build(case, graph, listed)
