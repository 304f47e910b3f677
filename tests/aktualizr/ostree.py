"""The OSTree package manager of the client: a commit is pulled by its digest into the sysroot's repository.

Not seen with the real client, which needs a booted OSTree system for it: read in its source (wire 2.1, ``{server}/treehub``).
The pulling itself is done by the program ``ostree``, which checks every object against its name.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.aktualizr.config import TlsFiles
from tests.aktualizr.metadata import Log, Target

REMOTE = "aktualizr-remote"


@dataclass(frozen=True)
class Sysroot:
    """The repository of a device in ``path``, which is made when it is used first, and the ``treehub`` it pulls from."""

    path: Path
    treehub: str
    tls: TlsFiles | None

    def pull(self, target: Target, log: Log) -> bool:
        """Pull the commit that ``target`` names by its SHA-256. Whether all of it is here now."""
        if not self.path.exists():
            self._run("init", "--mode=bare-user")
        self._run("remote", "delete", "--if-exists", REMOTE)
        self._run("remote", "add", "--no-gpg-verify", *self._credentials(), REMOTE, self.treehub)
        commit = target.hashes["sha256"].lower()
        done = self._run("pull", REMOTE, commit, check=False)
        if done.returncode:
            log(f"Error while pulling image: {done.returncode} {done.stderr.strip()}")
        return done.returncode == 0

    def _credentials(self) -> list[str]:
        if self.tls is None:
            return []
        files = {"ca": self.tls.ca, "client-cert": self.tls.certificate, "client-key": self.tls.key}
        return [f"--set=tls-{name}-path={path}" for name, path in files.items()]

    def _run(self, verb: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        verbs = (
            [verb, words[0], f"--repo={self.path}", *words[1:]]
            if verb == "remote"
            else [verb, f"--repo={self.path}", *words]
        )
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(
            ["ostree", *verbs], capture_output=True, text=True, check=check, timeout=60, env=environment
        )
