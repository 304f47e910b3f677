"""What the README and the documents show works as shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.architecture.documents import commands, run
from tests.architecture.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "metadata-fixtures").glob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
SLOW = {"docs/first-update.md", "docs/operations.md"}  # many commands, each a process; one starts real servers
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)")


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(path, id=name, marks=[pytest.mark.slow, pytest.mark.timeout(300)] if name in SLOW else [])
        for path, name in zip(DOCUMENTS, NAMES, strict=True)
    ],
)
def test_every_block_works(document: Path, tmp_path: Path) -> None:
    found = commands(document.read_text())
    directory = tmp_path / "here"
    directory.mkdir()
    assert not (found and run(found, directory))


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    targets = [match["target"] for match in _LINK.finditer(document.read_text())]
    assert not [target for target in targets if not (document.parent / target).exists()]


def wrong(text: str, directory: Path) -> list[str]:
    """What is wrong with the document ``text``."""
    return run(commands(text), directory)


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ cd /tmp\n$ pwd\n/tmp\n```",
        "```bash\nset -e\nx=1\n```\ntext\n```console\n$ echo $x\n1\n```",
        "```console\n$ printf 'a\\nbc\\nd\\n'\na\nb...\nd\n```",
        "```console\n$ echo 'error[rollback]: older'; false\nerror[rollback]: ...\n```",
        "```console\n$ cat <<END\n> a $ b\n> END\na $ b\n```",
        "<!-- no-run: it would stop -->\n```bash\nexit 7\n```",
        "<!-- setup: touch there -->\n```console\n$ ls\nthere\n```",
        "```json\n{\n```",
        "```python\nimport sys\nprint(sys.version)\n```",
        "```python\nprint('a\\nb')\n```\n\n```text\nb\n```",
        "```text\nnothing\n```",
        "```console\n$ sleep 1000 &\n$ echo here\nhere\n```",
    ],
)
def test_a_true_document_passes(text: str, tmp_path: Path) -> None:
    assert wrong(text, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a\n\n```console\n$ false\n```", "line 4: exit status 1: false"),
        ("```console\n$ echo a\nb\n```", "line 2: the output lacks 'b': echo a"),
        ("```console\n$ printf 'a\\nb'\nb\na\n```", "line 2: the output lacks 'a'"),
        ("```console\n$ echo 'error[x]: y'\nerror[x]: y\n```", "line 2: exit status 0"),
        ("```bash\nexit 3\n```", "line 2: did not finish"),
        ("```python\nraise SystemExit(4)\n```", "line 2: exit status 4"),
        ("```python\nprint('a')\n```\n\n```text\nb\n```", "line 2: the output lacks 'b'"),
        ("<!-- no-run: reason -->\n\ntext\n\n```bash\nfalse\n```", "line 6: exit status 1"),
    ],
)
def test_an_untrue_document_is_seen(text: str, complaint: str, tmp_path: Path) -> None:
    assert wrong(text, tmp_path)[0].startswith(complaint)
