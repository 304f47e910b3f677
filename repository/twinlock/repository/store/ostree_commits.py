"""Commits of an OSTree repository: whether one is in it, whole, so that a vehicle can pull it by its digest.

The commit object is read and hashed here, with no program of OSTree's. Everything that it leads to is checked by the
program ``ostree`` where that is installed.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from stat import S_ISREG

from twinlock.io.files.durable import read_file, storage_errors
from twinlock.repository.errors import OstreeCommitError
from twinlock.trust.errors.base import UsageError

PROGRAM = "ostree"
ARCHIVE_MODES = frozenset({"archive", "archive-z2"})  # the only kind whose objects a plain web server can offer

_COMMIT = re.compile(r"[0-9a-f]{64}")
_MAX_CONFIG_BYTES = 65_536
_MAX_COMMIT_BYTES = 128 << 20  # the bound of libostree on one metadata object
_FSCK_S = 3_600.0  # reading a repository of hundreds of gigabytes
_SHOWN_CHARACTERS = 400


def commit_id(value: str) -> str:
    """``value`` as the id of a commit: 64 lower-case hexadecimal digits. Raises: UsageError."""
    lowered = value.lower()
    if not _COMMIT.fullmatch(lowered):
        raise UsageError(reason=f"{value!a} is not an OSTree commit, which has 64 hexadecimal digits")
    return lowered


def is_program_installed() -> bool:
    """Whether the program ``ostree`` is found."""
    return shutil.which(PROGRAM) is not None


def check_repository(repository: Path) -> None:
    """Refuse a directory that is not an OSTree repository in archive mode. Raises: UsageError, StorageError."""
    data = read_file(repository / "config", max_bytes=_MAX_CONFIG_BYTES)
    if data is None or not (repository / "objects").is_dir():
        raise UsageError(reason=f"{repository} is not an OSTree repository: it has no config and objects/")
    config = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        config.read_string(data.decode())
        mode = config.get("core", "mode", fallback="bare")
    except (UnicodeDecodeError, configparser.Error) as error:
        raise UsageError(
            reason=f"{repository}/config is not the configuration of an OSTree repository ({error})"
        ) from None
    if mode not in ARCHIVE_MODES:
        raise UsageError(
            reason=f"{repository} is an OSTree repository in the mode {mode}, and vehicles pull from archive alone; make one "
            "with `ostree init --mode=archive` and bring the commit there with `ostree pull-local`"
        )


def check_commit(repository: Path, commit: str) -> None:
    """Refuse a commit that the repository does not hold, or holds in part. Reads one object.

    Raises: UsageError where ``repository`` is not one; OstreeCommitError; StorageError.
    """
    check_commit_object(repository, commit)
    if (repository / "state" / f"{commit}.commitpartial").exists():
        raise _refused(repository, commit, "only a part of it is in that repository")


def check_commit_object(repository: Path, commit: str) -> None:
    """The part of ``check_commit`` that does not depend on what OSTree noted of earlier pulls and checks."""
    check_repository(repository)
    path = repository / "objects" / commit[:2] / f"{commit[2:]}.commit"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise _refused(repository, commit, "the repository does not contain it") from None
    with os.fdopen(descriptor, "rb") as stream, storage_errors("read", path):
        regular = S_ISREG(os.fstat(descriptor).st_mode)
        data = stream.read(_MAX_COMMIT_BYTES + 1) if regular else b""
    if hashlib.sha256(data).hexdigest() != commit:
        raise _refused(repository, commit, "its commit object has a different digest")


def check_objects(repository: Path) -> bool:
    """Have ``ostree fsck`` check every object of every commit; False where the program is not installed.

    Raises: UsageError with its words where it finds fault, or takes more than an hour.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return False
    command = [program, "fsck", "--quiet", f"--repo={repository}"]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=_FSCK_S, env=environment
        )
    except subprocess.TimeoutExpired:
        raise UsageError(reason=f"`ostree fsck --repo={repository}` took more than {_FSCK_S:.0f} seconds") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[:_SHOWN_CHARACTERS]
        raise UsageError(
            reason=f"`ostree fsck --repo={repository}` reported errors: {words}. Remove the damaged objects (--delete), and bring "
            "them again with `ostree pull-local`"
        )
    return True


def _refused(repository: Path, commit: str, reason: str) -> OstreeCommitError:
    return OstreeCommitError(commit=commit, repository=str(repository), reason=reason)
