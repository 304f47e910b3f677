"""A small OSTree repository with one commit, object by object, so that no program of OSTree's is needed to make it.

The tree of the commit holds one file, ``/usr/bin/hello``. Where the program is installed, publishing has it check all of it.
"""

from __future__ import annotations

import base64
from pathlib import Path

COMMIT = "742a1ac02facb827f9a1ced6d181bf5a7eb628c3df8acb27fdaae54ea0283b1c"
FILE = "objects/fb/b5a11b1dc2f6a0d4a0978717f40aa54653bdf9eafbd98d9e3d56e89b2f84f7.filez"
CONFIG = b'[core]\nrepo_version=1\nmode=archive-z2\n[remote "origin"]\nurl=https://TEST:secret@example.org/\n'

OBJECTS = {
    "objects/44/6a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488.dirmeta": "AAAAAAAAAAAAAEHt",
    "objects/69/93a588ec8c691b191209b7bac45a09ecef2823079195210b2de630ddd519ed.dirtree": (
        "YmluAN1IisoeCWvEf74B9lfM9FHGkCeP9QbF+TFg8MjEMLqbRGoO8Rt8wWfztgPlhcfu7rZ1+qQS1exz9imI6wtsVIgkBEYA"
    ),
    f"objects/{COMMIT[:2]}/{COMMIT[2:]}.commit": (
        "b3N0cmVlLnJlZi1iaW5kaW5nAAAAAAAAbWFpbgAFAGFzEyJURVNUAAAAAAAAAAAAAAAAAHDb2IC/xj8mv02PcNYpOoIBApNky5z/A35R"
        "mCSUEmIkJ/exR0RqDvEbfMFn87YD5YXH7u62dfqkEtXsc/YpiOsLbFSIWCkoIyMj"
    ),
    "objects/bf/c63f26bf4d8f70d6293a8201029364cb9cff037e5198249412622427f7b147.dirtree": (
        "dXNyAGmTpYjsjGkbGRIJt7rEWgns7ygjB5GVIQst5jDd1RntRGoO8Rt8wWfztgPlhcfu7rZ1+qQS1exz9imI6wtsVIgkBEYA"
    ),
    "objects/dd/488aca1e096bc47fbe01f657ccf451c690278ff506c5f93160f0c8c430ba9b.dirtree": (
        "aGVsbG8A+7WhGx3C9qDUoJeHF/QKpUZTvfnq+9mNnj1W6JsvhPcGJyg="
    ),
    FILE: "AAAAGgAAAAAAAAAAAAAACwAAAAAAAAAAAACB7QAAAAAAGQtxDQ5RyEjNycnnAgA=",
}


def make_repository(path: Path) -> Path:
    """Write it to ``path``."""
    for folder in ("objects", "refs/heads", "refs/mirrors", "refs/remotes", "state", "tmp/cache", "extensions"):
        (path / folder).mkdir(parents=True)
    (path / "config").write_bytes(CONFIG)
    (path / ".lock").touch()
    (path / "refs/heads/main").write_text(COMMIT + "\n")
    for name, text in OBJECTS.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(base64.b64decode(text))
    return path
