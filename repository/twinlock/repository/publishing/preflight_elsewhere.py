"""What is asked, before a publication, of images whose bytes are not in the store: commits are whole, addresses public."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from twinlock.repository.authoring.entries import hosted_at
from twinlock.repository.store.hosted import OutsideHosts, check_reachable
from twinlock.repository.store.treehub import check_commits
from twinlock.trust.model.target_format import OSTREE, target_format
from twinlock.trust.model.targets import ImageEntry


def check_elsewhere(workspace: Path, entries: Iterable[ImageEntry], hosts: OutsideHosts) -> tuple[str, ...]:
    """Judge those of ``entries`` that are about to be published; returns the commits that could not be checked whole.

    Raises: ImageUriError; OstreeCommitError, and UsageError where ``ostree fsck`` finds fault; StorageError.
    """
    commits = set()
    for entry in entries:
        if target_format(entry) == OSTREE:
            commits.add(entry.hashes["sha256"])
        for uri in {hosted_at(entry.custom), entry.download_url} - {None}:
            assert uri is not None
            check_reachable(uri, hosts)
    return () if check_commits(workspace, frozenset(commits)) else tuple(sorted(commits))
